import { describe, expect, it } from 'vitest';
import type { Routing, RoutingValues } from '../../../src/anatomy/anatomy.js';
import { routedTokens } from '../../../src/engine/jobs/routing.js';
import type { Value } from '../../../src/engine/tensors/value.js';
import { DataType } from '../../../src/onnx/model.js';

const from: RoutingValues = {
  indices: 'i',
  axis: -1,
  weights: 'w',
  ofAll: false,
  turned: false,
  scores: { value: 's', kind: 'softmax' },
};
const routing: Routing = { experts: 3, chosen: 2, from, multiplies: 'outputs', intermediate: undefined, shared: false };
const layout = { tokens: 2, positions: 2, axis: undefined };

const float = (dims: number[], ...data: number[]): Value => ({
  type: DataType.float,
  dims,
  data: Float32Array.from(data),
});
const whole = (dims: number[], ...data: number[]): Value => ({
  type: DataType.int64,
  dims,
  data: BigInt64Array.from(data, BigInt),
});

const scores = float([2, 3], 0.5, 0.25, 0.25, 0.125, 0.125, 0.75);
const indices = whole([2, 2], 1, 0, 2, 1);
const weights = float([2, 2], 0.25, 0.75, 0.5, 0.5);
const read = (values: Record<string, Value>, changes: Partial<Routing> = {}, own: Partial<RoutingValues> = {}) =>
  routedTokens(
    new Map(Object.entries({ i: indices, w: weights, s: scores, ...values })),
    { ...routing, ...changes },
    { ...from, ...own },
    layout,
  );

describe('the experts that tokens were sent to', () => {
  it('come with the one of the largest weight first', () => {
    expect(read({})).toMatchObject({
      statistics: { indices: Int32Array.of(0, 1, 2, 1), weights: Float32Array.of(0.75, 0.25, 0.5, 0.5), experts: 3 },
    });
  });

  it('are those of the first example and of the tokens that count', () => {
    const more = routedTokens(
      new Map([
        ['i', whole([4, 2], 1, 0, 2, 1, 0, 2, 0, 1)],
        ['w', float([4, 2], 0.25, 0.75, 0.5, 0.5, 1, 0, 1, 0)],
      ]),
      routing,
      from,
      { tokens: 1, positions: 2, axis: undefined },
    );
    expect(more).toMatchObject({ statistics: { tokens: 1, indices: Int32Array.of(0, 1), scores: undefined } });
  });

  it('have the weights that stand at their places where all have one, experts first or last', () => {
    const rows = float([2, 3], 0.75, 0.25, 0, 0, 0.5, 0.5);
    const turned = float([3, 2], 0.75, 0, 0.25, 0.5, 0, 0.5);
    for (const [w, own] of [
      [rows, { ofAll: true }],
      [turned, { ofAll: true, turned: true }],
    ] as const)
      expect(read({ w }, {}, own)).toMatchObject({ statistics: { weights: Float32Array.of(0.75, 0.25, 0.5, 0.5) } });
  });

  it('have their intermediates in the same order', () => {
    const a = float([4, 2], 1, 2, 3, -4, 5, 6, 7, 8);
    const found = read({ a }, { intermediate: { tensor: 'a', ofAll: false } });
    expect(found).toMatchObject({
      statistics: { largest: Float32Array.of(4, 2, 6, 8) },
      intermediates: Float32Array.of(3, -4, 1, 2, 5, 6, 7, 8),
    });
    const all = float([3, 2, 1], 1, 2, 3, 4, 5, 6);
    expect(read({ a: all }, { intermediate: { tensor: 'a', ofAll: true } })).toMatchObject({
      intermediates: Float32Array.of(1, 3, 6, 4),
    });
  });

  it.each<[string, Record<string, Value>, Partial<RoutingValues>, string]>([
    ['one twice', { i: whole([2, 2], 1, 1, 2, 1) }, {}, 'its choices are not 2 different ones of 3 experts'],
    [
      'one that is not there',
      { i: whole([2, 2], 1, 3, 2, 1) },
      {},
      'its choices are not 2 different ones of 3 experts',
    ],
    ['another axis', { i: whole([1, 2, 2], 1, 0, 2, 1) }, { axis: 1 }, 'its choice is [1, 2, 2]'],
    ['fewer rows than tokens', { i: whole([1, 2], 1, 0) }, {}, 'its choice is [1, 2]'],
    [
      'weights of others',
      { w: float([2, 3], 1, 2, 3, 4, 5, 6) },
      { ofAll: true },
      'experts that are not among the chosen',
    ],
    ['weights of another shape', { w: float([2, 3], 1, 2, 3, 4, 5, 6) }, {}, 'its weights are [2, 3]'],
  ])('are not told by %s', (_, values, own, why) => {
    expect(read(values, {}, own)).toMatchObject({ why: expect.stringContaining(why) });
  });

  it('have no probabilities where these do not add up to 1', () => {
    const s = float([2, 3], 0.5, 0.25, 0.5, 0.125, 0.125, 0.75);
    expect(read({ s })).toMatchObject({ statistics: { scores: undefined } });
  });
});
