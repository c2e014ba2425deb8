import { describe, expect, it } from 'vitest';
import { rowVectors } from '../../../src/engine/tensors/along.js';
import { roundingCosts } from '../../../src/statistics/rounding.js';

const costsOf = (rows: readonly (readonly number[])[]) =>
  roundingCosts(
    Float32Array.from(rows.flat()),
    Float32Array.from(rows, (row) => Math.max(...row.map(Math.abs).filter(Number.isFinite))),
    rows[0]?.length ?? 0,
  );

describe('what rounding to int8 costs', () => {
  // np.round rounds half to even: 0.5 → 0, 1.5 → 2, −2.5 → −2.
  const rows = [
    [127, 0.5, 1.5, -2.5],
    [1.27, 0.5, 0, 0.001],
  ];

  it('is off by what half to even leaves', () => {
    const { int8 } = costsOf(rows);
    // np.linalg.norm(rows - np.round(rows / s) * s) / np.linalg.norm(rows), s = 1, then np.abs(rows).max(1) / 127
    expect(int8.tensor).toBeCloseTo(0.0081532971, 8);
    expect(int8.token).toBeCloseTo(0.0068168598, 8);
  });

  it('counts what becomes 0 among all entries, and what is 0 not', () => {
    // One scale: 0.5, 0.5 and 0.001; a scale for each row: 0.5 and 0.001.
    expect(costsOf(rows).underflow).toEqual({ tensor: 3 / 8, token: 2 / 8 });
  });

  it('disperses by the largest row over the lower median', () => {
    expect(costsOf([[1], [2], [4], [-40]]).dispersion).toBe(20);
  });

  it('has the excess kurtosis of scipy.stats.kurtosis', () => {
    // scipy.stats.kurtosis([1, 2, 3, 4]), and of [0, 0, 0, 8]
    expect(costsOf([[1, 2, 3, 4]]).kurtosis).toBeCloseTo(-1.36, 10);
    expect(costsOf([[0, 0, 0, 8]]).kurtosis).toBeCloseTo(-2 / 3, 10);
  });

  it('leaves out what is not finite', () => {
    const { int8, underflow } = costsOf([
      [127, Number.NaN, 1],
      [127, Number.POSITIVE_INFINITY, 0.25],
    ]);
    expect(int8.tensor).toBeCloseTo(0.25 / Math.hypot(127, 1, 127, 0.25), 10);
    expect(underflow.tensor).toBe(1 / 4);
  });

  it('of nothing but zeros is no number', () => {
    expect(costsOf([[0, 0]]).int8).toEqual({ tensor: Number.NaN, token: Number.NaN });
  });
});

it('vectors lie along the axis that is multiplied', () => {
  const value = { type: 1, dims: [1, 2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
  expect(rowVectors(value, -1)).toEqual({ values: value.data, rows: 2, dims: 3 });
  expect(rowVectors(value, -2)).toEqual({ values: Float32Array.of(1, 4, 2, 5, 3, 6), rows: 3, dims: 2 });
});
