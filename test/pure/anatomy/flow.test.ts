/** Questions about the flow of data, on graphs small enough to answer by eye. */
import { describe, expect, it } from 'vitest';
import { between, downstream, flowOf, stripped } from '../../../src/anatomy/flow.js';
import { modelOf } from '../../support/graph.js';

const flow = flowOf(
  modelOf(
    `
    extents = Shape(x)
    scaled = Mul(weight, two)
    a = MatMul(x, scaled)
    noise = RandomNormalLike(weight)
    b = Reshape(a, extents)
    c = Add(b, noise)
    d = Mul(b, other)
    y = Add(c, d)
    q, scale, zero = DynamicQuantizeLinear(y)
    f = Cast(q) to=1
    first = Gather(extents, weight)
    zeros = ConstantOfShape(first)`,
    {
      inputs: { x: ['tokens', 8], other: ['tokens', 8] },
      outputs: ['f'],
      weights: { weight: [8, 8], two: [] },
    },
  ),
);

describe('flow', () => {
  it('takes what constants alone make for constant, but not what chance does', () => {
    const constant = ['weight', 'scaled', 'noise', 'a', 'x', ''].filter(flow.isConstant);
    expect(constant).toEqual(['weight', 'scaled']);
  });

  it('reads elements, not shapes', () => {
    const reads = (value: string) => {
      const node = flow.producer(value);
      return node && flow.reads(node);
    };
    expect(reads('extents')).toEqual([]);
    expect(reads('b')).toEqual(['a']);
    expect(reads('zeros')).toEqual([]);
    expect(reads('a')).toEqual(['x']);
    expect(reads('y')).toEqual(['c', 'd']);
  });

  it('goes deeper from node to node', () => {
    expect(['x', 'a', 'b', 'c', 'y'].map(flow.depth)).toEqual([0, 2, 3, 4, 5]);
  });
});

describe('what lies between two values', () => {
  it('is every node on a way from one to the other', () => {
    const ops = (from: string, to: string) => [...(between(flow, from, to) ?? [])].map(({ op }) => op).sort();
    expect(ops('b', 'y')).toEqual(['Add', 'Add', 'Mul']);
    expect(ops('x', 'b')).toEqual(['MatMul', 'Reshape']);
    expect(ops('other', 'y')).toEqual(['Add', 'Mul']);
  });

  it('is nothing where no way leads', () => {
    expect(between(flow, 'other', 'c')).toBeUndefined();
    expect(between(flow, 'y', 'b')).toBeUndefined();
    // Its shape alone is read.
    expect(between(flow, 'x', 'extents')).toBeUndefined();
  });

  it('is told of a chain of twenty thousand nodes without recursion', () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `v${i + 1} = Relu(v${i})`);
    const long = flowOf(modelOf(lines.join('\n'), { inputs: { v0: [1] } }));
    expect(between(long, 'v0', 'v20000')?.size).toBe(20_000);
  });
});

it('what a value flows into is all that reads its elements, itself included', () => {
  expect([...downstream(flow, 'other')]).toEqual(['other', 'd', 'y', 'q', 'scale', 'zero', 'f']);
});

it('shapes, precisions and quantisations are taken off a value, computations are not', () => {
  expect(stripped(flow, 'f')).toBe('y');
  expect(stripped(flow, 'b')).toBe('a');
  expect(stripped(flow, 'x')).toBe('x');
});
