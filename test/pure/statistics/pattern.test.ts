import { describe, expect, it } from 'vitest';
import { patternStatistics } from '../../../src/statistics/pattern.js';
import type { PatternStatistics } from '../../../src/statistics/statistics.js';
import { floats, shape } from './goldens.js';

async function reduced(name: string): Promise<PatternStatistics> {
  const [heads = 0, tokens = 0, keys = 0] = await shape(`${name}.values`);
  return patternStatistics(await floats(`${name}.values`), heads, tokens, keys);
}

function expectClose(actual: Float32Array, expected: Float32Array): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 6);
}

describe('patternStatistics equals NumPy', () => {
  it.each([
    ['causal', true, undefined, 0],
    ['bidirectional', false, undefined, 0],
    ['first', true, 'first', 1],
    ['last', true, 'last', 1],
    ['two_last', true, 'last', 2],
  ])('on the %s pattern', async (name, causal, side, columns) => {
    const statistics = await reduced(name);
    expect(statistics.causal).toBe(causal);
    expect(statistics.extra?.side).toBe(side);
    expect(statistics.extra?.columns ?? 0).toBe(columns);
    expectClose(statistics.alpha, await floats(`${name}.alpha`));
    if (statistics.extra) expectClose(statistics.extra.alpha, await floats(`${name}.extra`));
  });
});

describe('patternStatistics', () => {
  it('averages the first token over all queries and the last over one', () => {
    const { alpha } = patternStatistics(Float32Array.of(1, 0, 0.25, 0.75), 1, 2, 2);
    expect(alpha).toEqual(Float32Array.of(0.625, 0.75));
  });

  it('forgives the dust that an additive half-precision mask leaves', () => {
    expect(patternStatistics(Float32Array.of(1, 1e-8, 0.25, 0.75), 1, 2, 2).causal).toBe(true);
  });

  it('takes the extra column of a single query as the first', () => {
    const { extra, alpha } = patternStatistics(Float32Array.of(0.25, 0.75), 1, 1, 2);
    expect(extra).toEqual({ side: 'first', columns: 1, alpha: Float32Array.of(0.25) });
    expect(alpha).toEqual(Float32Array.of(0.75));
  });

  it('refuses extents that do not fit', () => {
    expect(() => patternStatistics(new Float32Array(8), 2, 2, 3)).toThrow(RangeError);
    expect(() => patternStatistics(new Float32Array(2), 1, 2, 1)).toThrow(RangeError);
  });
});
