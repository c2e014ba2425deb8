/** The product with a weight that a value ends in. */
import { describe, expect, it } from 'vitest';
import { flowOf } from '../../../src/anatomy/flow.js';
import { lastProduct } from '../../../src/anatomy/products.js';
import { modelOf } from '../../support/graph.js';

const of = (text: string) => {
  const found = lastProduct(
    flowOf(
      modelOf(text, {
        inputs: { x: ['tokens', 8], z: ['tokens', 8] },
        weights: {
          up: [8, 32],
          turned: [32, 8],
          stack: [4, 8, 32],
          bias: [32],
          a: [8, 2],
          b: [2, 32],
          packed: [32, 1, 4],
        },
        integers: { first: 0, scale: 2 },
      }),
    ),
    'y',
  );
  return found && [found.activation, found.weight, found.rows, found.columns];
};

describe('the last product', () => {
  it.each<[string, ReturnType<typeof of>]>([
    ['y = MatMul(x, up)', ['x', 'up', 8, 32]],
    ['y = Gemm(x, turned, bias) transB=1', ['x', 'turned', 8, 32]],
    // Seen back through what is no product: a bias, an activation, a cap.
    [
      `p = MatMul(x, up)
       q = Add(p, bias)
       r = Div(q, scale)
       s = Tanh(r)
       y = Mul(s, scale)`,
      ['x', 'up', 8, 32],
    ],
    // What the weight is made from.
    [
      `w = Transpose(turned) perm=1,0
       half = Cast(w) to=10
       c = Cast(x) to=10
       y = MatMul(c, half)`,
      ['x', 'half', 8, 32],
    ],
    ['y = com.microsoft.MatMulNBits(x, packed) K=8 N=32 bits=4', ['x', 'packed', 8, 32]],
    // A low-rank adapter beside it.
    [
      `p = MatMul(x, up)
       low = MatMul(x, a)
       high = MatMul(low, b)
       y = Add(p, high)`,
      ['x', 'up', 8, 32],
    ],
  ])('%s', (text, expected) => {
    expect(of(text)).toEqual(expected);
  });
});

describe('there is no one last product', () => {
  it.each([
    // Experts.
    'y = MatMul(x, stack)',
    // Two activations.
    'y = MatMul(x, z)',
    // A sum of two branches.
    `p = MatMul(x, up)
     r = MatMul(z, up)
     y = Add(p, r)`,
    // An operator that is not known.
    `p = MatMul(x, up)
     y = local.Mystery(p)`,
    'y = Relu(x)',
  ])('%s', (text) => {
    expect(of(text)).toBeUndefined();
  });
});
