import { describe, expect, it } from 'vitest';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import {
  levelFrom,
  saliencyFrom,
  saliencyLevel,
  saliencyShares,
  surprisalFrom,
  surprisalLevel,
  tintLevel,
} from '../../../src/analysis/tint.js';

describe('tintLevel', () => {
  it('is even in the logarithm, and reaches its end at 1,000 × the median', () => {
    const levels = [0.5, 1, 2.37, 2.38, 31, 32, 999, 1000, 24_000];
    expect(levels.map((multiple) => tintLevel(multiple, 'all', defaultThresholds))).toEqual([
      0, 0, 0, 1, 3, 4, 7, 8, 8,
    ]);
  });

  it('is reached exactly where a level begins', () => {
    for (const level of [1, 2, 3, 4, 5, 6, 7, 8]) {
      expect(tintLevel(levelFrom(level), 'all', defaultThresholds)).toBe(level);
    }
  });

  it('begins at the threshold of what is large, whatever that is', () => {
    expect(tintLevel(99.9, 'large', defaultThresholds)).toBe(0);
    expect(tintLevel(100, 'large', defaultThresholds)).toBe(5);
    expect(tintLevel(20, 'large', { soft: 10 })).toBe(3);
  });

  it('has nothing to say of what is no number', () => {
    expect(tintLevel(Number.NaN, 'all', defaultThresholds)).toBe(0);
  });
});

it('surprisal is even in nats, and reaches its end at 10', () => {
  expect([Number.NaN, 0, 1.24, 1.25, 2.5, 9.9, 10, 40].map(surprisalLevel)).toEqual([0, 0, 0, 1, 2, 7, 8, 8]);
  expect(surprisalFrom(8)).toBe(10);
});

it('saliency is a share of the largest, of either sign', () => {
  expect(Array.from(saliencyShares(Float32Array.of(1, -4, 0)))).toEqual([0.25, -1, 0]);
  expect(Array.from(saliencyShares(Float32Array.of(0, 0)))).toEqual([0, 0]);
  expect([Number.NaN, 0, 0.01, 1 / 64, -0.25, 0.99, 1].map(saliencyLevel)).toEqual([0, 0, 0, 1, 4, 7, 8]);
  expect(saliencyFrom(4)).toBe(0.25);
});
