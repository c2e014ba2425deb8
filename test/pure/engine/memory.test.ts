import { describe, expect, it } from 'vitest';
import type { Anatomy } from '../../../src/anatomy/anatomy.js';
import {
  blockBytes,
  chooseDial,
  holdsStates,
  type Load,
  logitRows,
  stateBytes,
  tokensThatFit,
} from '../../../src/engine/stages/memory.js';

const anatomy = { layers: 12, hidden: 768, mlpHidden: 3072, heads: 12 } as Anatomy;
const [small, large] = [500e6, 20e9];

describe('chooseDial', () => {
  const dial = (weightBytes: number, tokens: number, memory: number, more: Partial<Load> = {}) =>
    chooseDial({ anatomy, weightBytes, tokens, memory, again: true, ...more });

  it('takes one block at a time for a first look', () => {
    expect(dial(small, 512, 4e9, { again: false })).toEqual({ keep: false, blocksPerStage: 1, sequences: 1 });
  });

  it('keeps nothing of a model that the budget cannot hold', () => {
    expect(dial(large, 512, 4e9)).toMatchObject({ keep: false, blocksPerStage: 1 });
    // Measured: kept, this takes 2.25 GB.
    expect(dial(small, 1024, 2.2e9)).toMatchObject({ keep: false, blocksPerStage: 1 });
  });

  it('takes few large stages for a small model that is used again, for each sequence by itself', () => {
    expect(dial(small, 512, 4e9)).toEqual({ keep: true, blocksPerStage: 3, sequences: 1 });
  });

  it('never has more patterns at once than a quarter of a gigabyte', () => {
    expect(dial(small, 2048, 8e9, { patterns: true })).toMatchObject({ keep: true, blocksPerStage: 1 });
    expect(dial(small, 2048, 8e9)).toMatchObject({ keep: true, blocksPerStage: 3 });
  });

  it('counts an arena for every stage that is kept', () => {
    expect(dial(small, 512, 2.2e9, { stages: 1 }).keep).toBe(true);
    expect(dial(small, 512, 2.2e9, { stages: 12 }).keep).toBe(false);
  });

  it('keeps no sessions by the block, however much there is', () => {
    expect(dial(small, 512, 64e9, { inside: true })).toMatchObject({ keep: false, blocksPerStage: 1 });
    expect(dial(small, 512, 64e9, { inside: true }).sequences).toBeGreaterThan(1);
  });

  describe('of a model that is not kept', () => {
    const memory = 256e6;
    const state = stateBytes(anatomy, 256);
    const together = (more: Partial<Load> = {}) => dial(small, 256, memory, more).sequences;

    it('takes as many sequences together as have room beside one block', () => {
      const room = memory - blockBytes(anatomy, 256);
      expect(together({ held: 6 * state })).toBe(Math.floor(room / (6 * state)));
      expect(together({ held: 12 * state })).toBe(Math.floor(room / (12 * state)));
    });

    it('leaves room for logits where they take more than a block', () => {
      const wide = { ...anatomy, vocabulary: 200_000 };
      const logits = 4 * 4 * logitRows(wide, memory) * 200_000;
      expect(logits).toBeGreaterThan(blockBytes(wide, 256));
      const { sequences } = dial(small, 256, memory, { anatomy: wide, logits: true, held: 6 * state });
      expect(sequences).toBe(Math.floor((memory - logits) / (6 * state)));
    });

    it('takes no more than pays: results are to come', () => {
      expect(dial(large, 256, 16e9).sequences).toBe(128);
      expect(dial(large, 2 ** 16, 2 ** 50, { weightBytes: 2 ** 60 }).sequences).toBe(1);
    });

    it('takes one at least, whatever the budget', () => {
      expect(dial(small, 256, 1).sequences).toBe(1);
    });
  });
});

describe('logitRows', () => {
  const wide = { ...anatomy, vocabulary: 2 ** 16 };
  it('are an eighth of the budget, at most 64 MB, at least one', () => {
    expect(logitRows(wide, 2 ** 28)).toBe(128);
    expect(logitRows(wide, 2 ** 34)).toBe(256);
    expect(logitRows(wide, 1)).toBe(1);
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
