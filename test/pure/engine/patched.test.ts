import { describe, expect, it } from 'vitest';
import type { Anatomy } from '../../../src/anatomy/anatomy.js';
import type { LinearInput } from '../../../src/anatomy/linear.js';
import type { Intervention } from '../../../src/engine/contract/interventions.js';
import { cutsOf, valueAt } from '../../../src/engine/stages/patched.js';

const change = (point: Intervention['point'], block: number): Intervention => ({
  point,
  block,
  tokens: 'all',
  dims: 'all',
  set: { to: 'zero' },
});

describe('cutsOf', () => {
  it.each([
    ['nothing', [], []],
    ['the embedding', [change('resid_post', 0)], [0]],
    ['the end of a block, which ends a stage', [change('resid_post', 3)], [3]],
    ['the inside of a block, which is a stage of its own', [change('mlp', 3)], [2, 3]],
    ['the inside of the first block', [change('attn_out', 1)], [0, 1]],
    ['blocks in any order, each once', [change('resid_post', 5), change('mlp', 3), change('resid_post', 2)], [2, 3, 5]],
  ])('of a change to %s', (_, changes, cuts) => {
    expect(cutsOf(changes)).toEqual(cuts);
  });
});

describe('valueAt', () => {
  const anatomy = {
    layers: 2,
    embedding: 'h0',
    blocks: [
      { residPost: 'h1', residMid: 'mid1', mlpIntermediate: 'mlp1', mlpOutput: 'out1', attention: { output: 'attn1' } },
      { residPost: 'h2' },
    ],
  } as unknown as Anatomy;
  const read = (block: number, axis: number, tensor: string): LinearInput => {
    return { block, part: 'attn_out', tensor, axis, products: [] };
  };
  const loaded = { anatomy, linear: () => [read(1, -1, 'z1'), read(2, -1, 'a'), read(2, -1, 'b')] };

  it.each([
    ['z', 1, 'z1'],
    ['attn_out', 1, 'attn1'],
    ['resid_mid', 1, 'mid1'],
    ['mlp', 1, 'mlp1'],
    ['mlp_out', 1, 'out1'],
    ['resid_post', 1, 'h1'],
    ['resid_post', 2, 'h2'],
    ['resid_post', 0, 'h0'],
  ] as const)('%s of block %i', (point, block, name) => {
    expect(valueAt(loaded, point, block)).toBe(name);
  });

  it.each([
    ['resid_post', 3, 'There is no resid_post of block 3: the model has blocks 1 to 2.'],
    ['resid_post', -1, 'There is no resid_post of block -1: the model has blocks 1 to 2.'],
    ['resid_post', 0.5, 'There is no resid_post of block 0.5: the model has blocks 1 to 2.'],
    ['mlp', 0, 'There is no mlp of block 0: the model has blocks 1 to 2.'],
    ['mlp', 2, 'Block 2 of this model has no mlp that could be found; choose another point.'],
    ['z', 2, 'Block 2 of this model has no z that could be found; choose another point.'],
    ['attn_out', 2, 'Block 2 of this model has no attn_out that could be found; choose another point.'],
  ] as const)('%s of block %d is refused: %s', (point, block, message) => {
    expect(() => valueAt(loaded, point, block)).toThrow(message);
  });
});
