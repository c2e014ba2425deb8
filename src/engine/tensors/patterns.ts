/** One layer's attention pattern as it comes from the graph. */
import { grouped, SinkscopeError } from '../../errors.js';
import { patternStatistics } from '../../statistics/pattern.js';
import { floats, size, type Value } from './value.js';

export interface Pattern {
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  /** [heads, queries, keys] */
  readonly values: Float32Array;
}

/** [..., heads, queries, keys] with leading axes of extent 1, or without an axis of heads. */
export function patternOf(value: Value): Pattern {
  const [queries = 1, keys = 1] = value.dims.slice(-2);
  return { heads: size(value.dims.slice(0, -2)), queries, keys, values: floats(value) };
}

/** Places of a cache among a pattern's keys that nothing fills: so many before the tokens, or as many as there are behind them. */
export interface Unfilled {
  readonly before: number;
  readonly behind: boolean;
}

export const noneUnfilled: Unfilled = { before: 0, behind: false };

/** The pattern without columns that belong to places of a cache that nothing fills, and that take no weight. */
export function withoutUnfilled(pattern: Pattern, { before, behind }: Unfilled): Pattern {
  const { heads, queries, keys, values } = pattern;
  const end = behind ? Math.min(queries, keys) : keys;
  if (before + keys - end === 0 || end < queries + before) return pattern;
  const width = end - before;
  const rest = new Float32Array(heads * queries * width);
  for (let row = 0; row < heads * queries; row++) {
    for (let key = 0; key < keys; key++)
      if ((key < before || key >= end) && (values[row * keys + key] ?? 0) > 0) return pattern;
    rest.set(values.subarray(row * keys + before, row * keys + end), row * width);
  }
  return { heads, queries, keys: width, values: rest };
}

/**
 * The part of a pattern that is about the first `tokens` positions, when the others are padding; columns that belong
 * to no position stay.
 *
 * @throws SinkscopeError `input` where the padding is seen by what comes before it.
 */
export function cropPattern(pattern: Pattern, tokens: number, file: string): Pattern {
  const { heads, queries, keys, values } = pattern;
  const { extra } = patternStatistics(values, heads, queries, keys);
  const own = extra?.side === 'first' ? extra.columns : 0;
  if (seesPadding(pattern, tokens, own)) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} was exported for exactly ${grouped(queries)} tokens and lets every token see all others, so it cannot be run on ${grouped(tokens)}; give it ${grouped(queries)}.`,
    });
  }
  const columns = extra?.columns ?? 0;
  // Own columns and extra ones, as ranges of the full row.
  const ranges: readonly (readonly [from: number, to: number])[] =
    extra?.side === 'first'
      ? [[0, columns + tokens]]
      : [
          [0, tokens],
          [queries, queries + columns],
        ];
  const width = tokens + columns;
  const cropped = new Float32Array(heads * tokens * width);
  let at = 0;
  for (let head = 0; head < heads; head++) {
    for (let query = 0; query < tokens; query++) {
      const row = (head * queries + query) * keys;
      for (const [from, to] of ranges) {
        cropped.set(values.subarray(row + from, row + to), at);
        at += to - from;
      }
    }
  }
  return { heads, queries: tokens, keys: width, values: cropped };
}

/** The rows of the first `tokens` queries, with all of their keys. */
export function firstQueries({ heads, queries, keys, values }: Pattern, tokens: number): Pattern {
  const cut = new Float32Array(heads * tokens * keys);
  for (let head = 0; head < heads; head++) {
    const from = head * queries * keys;
    cut.set(values.subarray(from, from + tokens * keys), head * tokens * keys);
  }
  return { heads, queries: tokens, keys, values: cut };
}

/** The columns of the first keys; all where `count` is undefined. */
export function firstKeys(pattern: Pattern, count: number | undefined): Pattern {
  const { heads, queries, keys, values } = pattern;
  if (count === undefined || count >= keys) return pattern;
  const cut = new Float32Array(heads * queries * count);
  for (let row = 0; row < heads * queries; row++) cut.set(values.subarray(row * keys, row * keys + count), row * count);
  return { heads, queries, keys: count, values: cut };
}

/** Whether any of the first `tokens` positions looks at those behind them, whose columns begin `before` later. */
function seesPadding({ heads, queries, keys, values }: Pattern, tokens: number, before: number): boolean {
  for (let head = 0; head < heads; head++)
    for (let query = 0; query < tokens; query++) {
      const row = (head * queries + query) * keys + before;
      for (let key = tokens; key < queries; key++) if ((values[row + key] ?? 0) > 0) return true;
    }
  return false;
}
