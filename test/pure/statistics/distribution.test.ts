import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RunningStatistics } from '../../../src/statistics/distribution.js';

/** By NumPy, of numbers far from 0: see test/references/README.md. */
const { waves } = JSON.parse(readFileSync(new URL('../../references/weights.json', import.meta.url), 'utf8'));
const values = Float64Array.from({ length: waves.count }, (_, i) => 1000 + Math.sin(i) * (i % 997 === 5 ? 200 : 1));

describe.each([100_000, 4096, 1])('numbers that come in parts of %i', (part) => {
  const distribution = new RunningStatistics(16);
  for (let start = 0; start < values.length; start += part) distribution.add(values.subarray(start, start + part));

  it('have the moments of the whole', () => {
    expect(distribution.mean).toBeCloseTo(waves.mean, 9);
    expect(distribution.deviation).toBeCloseTo(waves.deviation, 9);
    expect(distribution.kurtosis / waves.kurtosis).toBeCloseTo(1, 9);
  });

  it('have its extremes, places and octaves', () => {
    expect([distribution.count, distribution.zeros, distribution.nonFinite]).toEqual([waves.count, 0, 0]);
    expect(distribution.min).toBeCloseTo(waves.min, 9);
    expect(distribution.max).toBeCloseTo(waves.max, 9);
    expect(distribution.top.map(({ at }) => [at])).toEqual(waves.top.map((one: { index: number[] }) => one.index));
    expect(distribution.octaves).toEqual(waves.octaves);
  });
});

it('what is not finite is counted and changes nothing else', () => {
  const distribution = new RunningStatistics(2);
  distribution.add(Float32Array.of(Number.NaN, 1, Number.POSITIVE_INFINITY));
  distribution.add(Float32Array.of(Number.NaN, Number.NEGATIVE_INFINITY));
  distribution.add(Float32Array.of(-3, 0));
  expect(distribution).toMatchObject({ count: 7, nonFinite: 4, zeros: 1, min: -3, max: 1 });
  expect(distribution.mean).toBeCloseTo(-2 / 3, 12);
  expect(distribution.top).toEqual([
    { value: -3, at: 5 },
    { value: 1, at: 1 },
  ]);
});
