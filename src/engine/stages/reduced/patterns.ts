/**
 * Attention patterns in what sinks are read from, as nodes of the graph that makes them: what
 * `src/statistics/pattern.ts` computes, where the tensors are.
 */
import { noWeight } from '../../../statistics/pattern.js';
import type { PatternStatistics } from '../../../statistics/statistics.js';
import { numbers, type Value } from '../../tensors/value.js';
import type { Parts, Reducing } from './reducing.js';

/** Names of what is made of one pattern. */
export interface ReducedPattern {
  /** [heads, queries, keys]; by itself, for extents are known without the tensors. */
  readonly shape: string;
  /** What {@link patternIn} reads, in order. */
  readonly parts: readonly string[];
}

/**
 * Columns beyond the tokens' own stand before them or after them, as the causal triangle tells: sums are over what queries
 * see of it where nothing else has weight, for the columns before the tokens, else after them, and over all else.
 *
 * @param pattern name of a value [..., heads, queries, keys]
 */
export function reducePattern(build: Reducing, pattern: string): ReducedPattern {
  const [tokens, keys] = [build.extent(pattern, -2), build.extent(pattern, -1)];
  const extents = build.slice(build.node('Shape', [pattern]), 0, -2, 2 ** 31 - 1);
  const flat = build.node('Reshape', [
    build.float32(pattern),
    build.node('Concat', [build.ints([-1]), extents], { axis: 0 }),
  ]);
  const one = build.int(1);
  /** So many floats from `first` on. */
  const counted = (first: string, count: string) =>
    build.float32(build.node('Range', [first, build.sum(first, count), one]));
  const query = build.reshape(counted(one, tokens), [-1, 1]);
  // A query sees keys of smaller place: of tokens that come after extra columns, and of those that come before.
  const extra = build.node('Sub', [tokens, keys]);
  const after = counted(extra, keys);
  const column = counted(build.int(0), keys);
  const before = build.where(build.less(column, build.float32(tokens)), column, build.float(-1));
  /** The largest weight of what is not seen, [1]. */
  const unseen = (place: string) => {
    const rest = build.where(build.less(place, query), build.float(0), flat);
    return build.reduce('ReduceMax', build.reshape(build.reduce('ReduceMax', rest, [2]), [1, -1]), [1]);
  };
  const [unseenAfter, unseenBefore] = [unseen(after), unseen(before)];
  const counts = (weight: string) => build.less(build.float(noWeight), weight);
  const place = build.where(counts(unseenAfter), build.where(counts(unseenBefore), build.float(-1), before), after);
  const sums = build.reduce('ReduceSum', build.where(build.less(place, query), flat, build.float(0)), [1]);
  return { shape: build.node('Shape', [flat]), parts: [unseenAfter, unseenBefore, sums] };
}

/**
 * Statistics of a pattern of so many tokens; undefined where it has weights that are not finite.
 *
 * @param shape as {@link reducePattern} gives it
 */
export function patternIn(parts: Parts, shape: Value, tokens: number): PatternStatistics | undefined {
  const [heads = 0, queries = 0, keys = 0] = numbers(shape);
  const [[unseenAfter = Number.NaN], [unseenBefore = Number.NaN]] = [parts.take(1), parts.take(1)];
  const sums = parts.take(heads * keys);
  const columns = keys - tokens;
  if (queries !== tokens || columns < 0) return undefined;
  if (!sums.every(Number.isFinite) || Number.isNaN(unseenAfter + unseenBefore)) return undefined;
  const causalAfter = !(unseenAfter > noWeight);
  const causal = causalAfter || !(unseenBefore > noWeight);
  const side = causalAfter && columns > 0 ? 'first' : 'last';
  const offset = side === 'first' ? columns : 0;
  const alpha = new Float32Array(heads * tokens);
  const extra = new Float32Array(heads);
  for (let head = 0; head < heads; head++) {
    const row = sums.subarray(head * keys, (head + 1) * keys);
    for (let key = 0; key < tokens; key++)
      alpha[head * tokens + key] = (row[offset + key] ?? 0) / (causal ? tokens - key : tokens);
    const first = side === 'first' ? 0 : tokens;
    for (let column = 0; column < columns; column++)
      extra[head] = (extra[head] ?? 0) + (row[first + column] ?? 0) / tokens;
  }
  return { heads, tokens, alpha, causal, extra: columns === 0 ? undefined : { side, columns, alpha: extra } };
}
