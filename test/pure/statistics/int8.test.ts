import { describe, expect, it } from 'vitest';
import { countAbove, int8Errors, nearest, stateDifference } from '../../../src/statistics/int8.js';

// 2 tokens × 3 dims, one entry far above the rest. Scales by hand: largest ÷ 127.
const h = Float32Array.of(1, -2, 254, 0.5, 1.5, 2);

describe('int8 errors', () => {
  it('are those of symmetric rounding with one scale for all, by token and by channel', () => {
    const errors = int8Errors(h, 2, 3, Number.POSITIVE_INFINITY);
    const norm = Math.hypot(1, 2, 254, 0.5, 1.5, 2);
    // One scale of 2: 0.5 → 0 and 1.5 / 2 = 0.75 → 1, half to even: 1 / 2 = 0.5 → 0.
    expect(errors.with.tensor).toBeCloseTo(Math.hypot(1, 0, 0, 0.5, 0.5, 0) / norm, 9);
    // The second token's scale is 2 ÷ 127: 0.5 is 31.75 of them, 1.5 is 95.25.
    const step = 2 / 127;
    expect(errors.with.token).toBeCloseTo(Math.hypot(1, 0, 0, 0.25 * step, 0.25 * step, 0) / norm, 9);
    // Channels: 0.5 of 1 ÷ 127 is 63.5 → 64; 1.5 of 2 ÷ 127 is 95.25 → 95; 2 of 254 ÷ 127 is 1.
    expect(errors.with.channel).toBeCloseTo(Math.hypot(0.5 / 127, (0.25 * 2) / 127) / norm, 9);
    expect(errors.without).toEqual(errors.with);
    expect(errors.removed).toBe(0);
  });

  it('are told of the other entries where some are kept apart', () => {
    const errors = int8Errors(h, 2, 3, 100);
    const norm = Math.hypot(1, 2, 0.5, 1.5, 2);
    expect(errors.removed).toBe(1);
    expect(errors.with.tensor).toBeCloseTo(Math.hypot(1, 0.5, 0.5) / norm, 9);
    const step = 2 / 127; // 1 is 63.5 steps → 64
    expect(errors.without.tensor).toBeCloseTo((Math.hypot(0.5, 0.25, 0.25) * step) / norm, 9);
  });

  it('are nothing where all is zero in a token', () => {
    const errors = int8Errors(Float32Array.of(0, 0, 3, 3), 2, 2, Number.POSITIVE_INFINITY);
    expect(errors.with.token).toBe(0);
    expect(errors.with.channel).toBe(0);
  });
});

it('the difference of two states is relative, over all and over the rest', () => {
  const other = Float32Array.of(1, -2, 200, 0.5, 1, 2);
  const { all, rest } = stateDifference(h, other, 100);
  expect(all).toBeCloseTo(Math.hypot(54, 0.5) / Math.hypot(1, 2, 254, 0.5, 1.5, 2), 9);
  expect(rest).toBeCloseTo(0.5 / Math.hypot(1, 2, 0.5, 1.5, 2), 9);
  expect(() => stateDifference(h, other.subarray(1), 100)).toThrow(RangeError);
});

it('counts tokens by dim', () => {
  expect([...countAbove(h, 3, 1.5)]).toEqual([0, 2, 2]);
});

it('finds the entries nearest to a magnitude, whatever their sign', () => {
  expect(nearest(h, 1.9, 3)).toEqual([1, 5, 4]);
  expect(nearest(h, 300, 99)).toHaveLength(6);
});
