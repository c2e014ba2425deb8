/** Integer vectors that a graph computes, as far as they are known before a run. */
import { describe, expect, it } from 'vitest';
import { declaredExtents, partialVector } from '../../../src/anatomy/extents.js';
import { flowOf } from '../../../src/anatomy/flow.js';
import { modelOf } from '../../support/graph.js';

const of = (text: string) =>
  partialVector(
    flowOf(
      modelOf(text, {
        inputs: { x: ['batch', 'tokens', 64] },
        integers: {
          zero: 0,
          one: 1,
          two: 2,
          rank: 3,
          none: [0],
          last: [99],
          four: [4],
          pair: [2, 3],
          ends: [3],
          begins: [1],
          minus: [-1],
          eight: 8,
        },
        weights: { long: [17], wide: [2] },
        shapes: { inner: [1, null, 12, 8] },
      }),
    ),
    'y',
  );

describe('a vector is known', () => {
  it.each<[string, (number | undefined)[]]>([
    ['y = Shape(x)', [undefined, undefined, 64]],
    ['y = Shape(inner)', [1, undefined, 12, 8]],
    ['y = Shape(x) start=1', [undefined, 64]],
    ['y = Shape(x) start=-2 end=-1', [undefined]],
    ['y = Identity(pair)', [2, 3]],
    // Heads and their size, as exporters write the target of a Reshape.
    [
      `extents = Shape(x)
       tokens = Gather(extents, one)
       t = Unsqueeze(tokens, begins)
       y = Concat(four, t, minus) axis=0`,
      [4, undefined, -1],
    ],
    [
      `extents = Shape(x)
       width = Gather(extents, two)
       y = Div(width, eight)`,
      [8],
    ],
    // Division rounds towards zero, as ONNX does with integers.
    ['y = Div(minus, two)', [-0]],
    ['y = Add(pair, one)', [3, 4]],
    ['y = Sub(one, pair)', [-1, -2]],
    ['y = Mul(pair, pair)', [4, 9]],
    [
      `extents = Shape(x)
       y = Slice(extents, begins, ends)`,
      [undefined, 64],
    ],
    // As torch unflattens the last axis of three: an axis is counted modulo the rank, which tells it.
    [
      `extents = Shape(unknown)
       axis = Mod(two, rank)
       end = Reshape(axis, begins)
       before = Slice(extents, none, end)
       next = Add(axis, one)
       start = Reshape(next, begins)
       behind = Slice(extents, start, last)
       y = Concat(before, minus, four, behind) axis=0`,
      [undefined, undefined, -1, 4],
    ],
    ['y = Mod(minus, two)', [undefined]],
    // An unknown part leaves the others known.
    ['y = Concat(four, unknown, pair) axis=0', [4, undefined, 2, 3]],
    ['y = Div(pair, zero)', [undefined, undefined]],
  ])('%s', (text, expected) => {
    expect(of(text)).toEqual(expected);
  });
});

describe('nothing is known', () => {
  it.each([
    'y = Softmax(pair)',
    'y = Identity(long)',
    'y = Add(pair, ends2)',
    'y = Slice(pair, unknown, ends)',
    `three = Concat(pair, four) axis=0
     y = Add(pair, three)`,
  ])('%s', (text) => {
    expect(of(text)).toBeUndefined();
  });

  it('of a computation that has no end', () => {
    const lines = Array.from({ length: 30 }, (_, i) => `v${i + 1} = Add(v${i}, one)`);
    const deep = modelOf(lines.join('\n'), { integers: { v0: [5], one: 1 } });
    expect(partialVector(flowOf(deep), 'v3')).toEqual([8]);
    expect(partialVector(flowOf(deep), 'v30')).toBeUndefined();
  });
});

it('declared extents are numbers, of inputs, outputs and inner values', () => {
  const flow = flowOf(
    modelOf('y = Relu(x)', { inputs: { x: ['batch', null, 64] }, shapes: { h: [1, 2] }, outputs: ['y'] }),
  );
  expect(declaredExtents(flow, 'x')).toEqual([undefined, undefined, 64]);
  expect(declaredExtents(flow, 'h')).toEqual([1, 2]);
  expect(declaredExtents(flow, 'y')).toBeUndefined();
});
