/**
 * Attention patterns in what sinks are read from, as nodes of the graph that makes them: what
 * `src/statistics/pattern.ts` computes, where the tensors are.
 */
import { noWeight } from '../../../statistics/pattern.js';
import type { PatternStatistics } from '../../../statistics/statistics.js';
import { numbers, type Value } from '../../tensors/value.js';
import type { JoinedParts, Reducing } from './reducing.js';

/** Names of what is made of one pattern. */
export interface ReducedPattern {
  /** [heads, queries, keys]; by itself, for extents are known without the tensors. */
  readonly shape: string;
  /** What {@link patternIn} reads, in order. */
  readonly parts: readonly string[];
}

/**
 * Columns beyond the tokens' own are taken to stand before them, which the causal triangle tells: sums are over what
 * queries see of it where nothing else has weight, and over all else.
 *
 * @param pattern name of a value [..., heads, queries, keys]
 */
export function patternNodes(build: Reducing, pattern: string): ReducedPattern {
  const [tokens, keys] = [build.extentOf(pattern, -2), build.extentOf(pattern, -1)];
  const extents = build.node('Concat', [build.ints([-1]), tokens, keys], { axis: 0 });
  const flat = build.node('Reshape', [build.float32(pattern), extents]);
  const one = build.ints([1]);
  const query = build.reshape(build.counted(one, build.sum(tokens, one)), [-1, 1]);
  // A query sees keys of smaller place.
  const after = build.counted(build.node('Sub', [tokens, keys]), tokens);
  const nothing = build.float(0);
  const hidden = build.where(build.less(after, query), nothing, flat);
  const unseen = build.reduce('ReduceMax', build.reshape(build.reduce('ReduceMax', hidden, [2]), [1, -1]), [1]);
  const place = build.where(build.less(build.float(noWeight), unseen), build.float(-build.reach), after);
  const sums = build.reduce('ReduceSum', build.where(build.less(place, query), flat, nothing), [1]);
  return { shape: build.node('Shape', [flat]), parts: [unseen, sums] };
}

/**
 * Statistics of a pattern of so many tokens; undefined where it has weights that are not finite, or columns that do not
 * stand before the tokens'.
 *
 * @param shape as {@link patternNodes} gives it
 */
export function patternIn(parts: JoinedParts, shape: Value, tokens: number): PatternStatistics | undefined {
  const [heads = 0, queries = 0, keys = 0] = numbers(shape);
  const [unseen = Number.NaN] = parts.take(1);
  const sums = parts.take(heads * keys);
  const columns = keys - tokens;
  const causal = !(unseen > noWeight);
  if (queries !== tokens || columns < 0 || (columns > 0 && !causal)) return undefined;
  if (Number.isNaN(unseen) || !sums.every(Number.isFinite)) return undefined;
  const alpha = new Float32Array(heads * tokens);
  const extra = new Float32Array(heads);
  for (let head = 0; head < heads; head++) {
    const row = sums.subarray(head * keys, (head + 1) * keys);
    for (let key = 0; key < tokens; key++)
      alpha[head * tokens + key] = (row[columns + key] ?? 0) / (causal ? tokens - key : tokens);
    for (let column = 0; column < columns; column++) extra[head] = (extra[head] ?? 0) + (row[column] ?? 0) / tokens;
  }
  return { heads, tokens, alpha, causal, extra: columns === 0 ? undefined : { side: 'first', columns, alpha: extra } };
}
