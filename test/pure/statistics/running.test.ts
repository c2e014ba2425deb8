import { describe, expect, it } from 'vitest';
import { patternStatistics } from '../../../src/statistics/pattern.js';
import { uniform } from '../../../src/statistics/random.js';
import { drawnTokens, EditedPattern, RunningPattern } from '../../../src/statistics/running.js';
import { at } from '../../support/lists.js';

const [heads, tokens] = [2, 9];

/** A causal pattern whose rows add up to 1, [heads, queries, tokens + columns]. */
function patternWith(columns: number, side: 'first' | 'last', queries: number): Float32Array {
  const random = uniform(7);
  const keys = tokens + columns;
  const values = new Float32Array(heads * tokens * keys);
  for (let head = 0; head < heads; head++)
    for (let query = 0; query < tokens; query++) {
      const own = Array.from({ length: tokens }, (_, key) => (key <= query ? random() + 0.1 : 0));
      const extra = Array.from({ length: columns }, () => random() + 0.1);
      const row = side === 'first' ? [...extra, ...own] : [...own, ...extra];
      const sum = row.reduce((total, one) => total + one, 0);
      values.set(
        row.map((one) => one / sum),
        (head * tokens + query) * keys,
      );
    }
  return queries === tokens ? values : cut(values, keys, columns, side, queries);
}

/** Its first queries, over the keys that they see. */
function cut(values: Float32Array, keys: number, columns: number, side: 'first' | 'last', queries: number) {
  const rows: number[] = [];
  for (let head = 0; head < heads; head++)
    for (let query = 0; query < queries; query++)
      rows.push(...rowOf(values, keys, columns, side, head, query, queries));
  return Float32Array.from(rows);
}

function rowOf(
  values: Float32Array,
  keys: number,
  columns: number,
  side: 'first' | 'last',
  head: number,
  query: number,
  seen: number,
) {
  const row = [...values.subarray((head * tokens + query) * keys, (head * tokens + query + 1) * keys)];
  return side === 'first' ? row.slice(0, columns + seen) : [...row.slice(0, seen), ...row.slice(tokens)];
}

describe('RunningPattern', () => {
  it.each([
    [0, 'first'],
    [1, 'first'],
    [1, 'last'],
  ] as const)('with %i extra columns (%s) comes to what the whole pattern does', (columns, side) => {
    const keys = tokens + columns;
    const whole = patternWith(columns, side, tokens);
    const begun = 4;
    const running = new RunningPattern(
      patternStatistics(patternWith(columns, side, begun), heads, begun, begun + columns),
    );
    for (let query = begun; query < tokens; query++) {
      const rows = Array.from({ length: heads }, (_, head) =>
        rowOf(whole, keys, columns, side, head, query, query + 1),
      );
      running.add(Float32Array.from(rows.flat()));
    }
    const expected = patternStatistics(whole, heads, tokens, keys);
    const found = running.statistics();
    expect([found.heads, found.tokens, found.extra?.side]).toEqual([heads, tokens, expected.extra?.side]);
    for (const [i, alpha] of expected.alpha.entries()) expect(at(found.alpha, i)).toBeCloseTo(alpha, 6);
    for (const [i, alpha] of (expected.extra?.alpha ?? []).entries())
      expect(at(found.extra?.alpha ?? [], i)).toBeCloseTo(alpha, 6);
  });

  it('takes the keys of a row that has fewer than there are tokens for the last', () => {
    const running = new RunningPattern(patternStatistics(Float32Array.of(1, 0, 0.5, 0.5), 1, 2, 2));
    running.add(Float32Array.of(0.25, 0.75));
    expect([...running.statistics().alpha]).toEqual([0.5, 0.375, 0.75]);
  });
});

describe('EditedPattern', () => {
  it.each([
    [0, 'first'],
    [2, 'first'],
    [1, 'last'],
  ] as const)('with %i extra columns (%s) comes to what the pattern does that is there in the end', (columns, side) => {
    const keys = tokens + columns;
    const whole = patternWith(columns, side, tokens);
    const expected = patternStatistics(whole, heads, tokens, keys);
    const edited = new EditedPattern(expected);
    // Other rows from the fifth token on, which one that is no number is among, were taken back.
    const other = whole.map((value, i) => (Math.floor(i / keys) % tokens > 4 ? 1 - value : value));
    other[6 * keys] = Number.NaN;
    edited.extend(other, heads, tokens, keys);
    edited.back(5);
    // The last rows of what was run, with all of their keys.
    edited.extend(whole, heads, tokens, keys, tokens - 5);
    const found = edited.statistics();
    expect(found.tokens).toBe(tokens);
    for (const [i, alpha] of expected.alpha.entries()) expect(at(found.alpha, i)).toBeCloseTo(alpha, 6);
    for (const [i, alpha] of (expected.extra?.alpha ?? []).entries())
      expect(at(found.extra?.alpha ?? [], i)).toBeCloseTo(alpha, 6);
  });
});

describe('drawnTokens', () => {
  const layer = (alpha: readonly number[]) => ({
    heads: 2,
    tokens: 4,
    alpha: Float32Array.from(alpha),
    causal: true,
    extra: undefined,
  });

  it('are those that enough queries see and enough heads are drawn to', () => {
    const layers = [layer([0.9, 0.1, 0.4, 0.9, 0.5, 0.1, 0.1, 0.9]), layer([0.2, 0.5, 0, 0.9, 0.25, 0, 0, 0.9])];
    const drawn = drawnTokens(layers, { epsilon: 0.3, minQueries: 2, minShare: 0.3 });
    expect(drawn.map(({ token, heads }) => [token, heads])).toEqual([[0, 2]]);
    expect([...at(drawn, 0).alpha].map((one) => Number(one.toFixed(3)))).toEqual([0.7, 0.225]);
    const any = drawnTokens(layers, { epsilon: 0.3, minQueries: 1, minShare: 0 });
    expect(any.map(({ token, heads }) => [token, heads])).toEqual([
      [3, 4],
      [0, 2],
      [1, 1],
      [2, 1],
    ]);
  });
});
