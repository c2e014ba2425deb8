import { describe, expect, it } from 'vitest';
import type { Anatomy } from '../../../src/anatomy/anatomy.js';
import { blockBytes, chooseDial, holdsStates, tokensThatFit } from '../../../src/engine/stages/memory.js';

const anatomy = { layers: 12, hidden: 768, mlpHidden: 3072, heads: 12 } as Anatomy;
const [small, large] = [500e6, 20e9];

describe('chooseDial', () => {
  const dial = (weights: number, tokens: number, patterns: boolean, memory: number, usedBefore: boolean) =>
    chooseDial(anatomy, weights, tokens, patterns, memory, usedBefore);

  it('takes one block at a time for a first look, and for a model the budget cannot hold', () => {
    expect(dial(small, 512, true, 4e9, false)).toEqual({ keep: false, blocksPerStage: 1 });
    expect(dial(large, 512, true, 4e9, true)).toEqual({ keep: false, blocksPerStage: 1 });
    // Measured: kept, this takes 2.25 GB.
    expect(dial(small, 1024, true, 2.2e9, true)).toEqual({ keep: false, blocksPerStage: 1 });
  });

  it('takes few large stages for a small model that is used again', () => {
    expect(dial(small, 512, true, 4e9, true)).toEqual({ keep: true, blocksPerStage: 3 });
  });

  it('never has more patterns at once than a quarter of a gigabyte', () => {
    expect(dial(small, 2048, true, 8e9, true)).toEqual({ keep: true, blocksPerStage: 1 });
    expect(dial(small, 2048, false, 8e9, true)).toEqual({ keep: true, blocksPerStage: 3 });
  });
});

describe('tokensThatFit', () => {
  it('is the largest number whose run fits', () => {
    const memory = 1e9;
    const tokens = tokensThatFit(anatomy, memory);
    expect(blockBytes(anatomy, tokens)).toBeLessThanOrEqual(memory);
    expect(blockBytes(anatomy, tokens + 1)).toBeGreaterThan(memory);
  });

  it('is at least one', () => {
    expect(tokensThatFit(anatomy, 1)).toBe(1);
  });
});

it('holds all states only beside the block that runs', () => {
  const needed = blockBytes(anatomy, 100) + 13 * 100 * 768 * 4;
  expect(holdsStates(anatomy, 100, needed)).toBe(true);
  expect(holdsStates(anatomy, 100, needed - 1)).toBe(false);
});
