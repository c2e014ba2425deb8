/**
 * Attention patterns in what sinks are read from, as nodes of the graph that makes them: what
 * `src/statistics/pattern.ts` computes, where the tensors are.
 */
import { greatest } from '../../../statistics/numbers.js';
import { noWeight } from '../../../statistics/pattern.js';
import type { PatternStatistics } from '../../../statistics/statistics.js';
import { numbers, type Value } from '../../tensors/value.js';
import type { JoinedParts, Reducing } from './reducing.js';

/** Names of what is made of one pattern. */
export interface ReducedPattern {
  /** [..., heads, queries, keys]; by itself, for extents are known without the tensors. */
  readonly shape: string;
  /** What {@link patternIn} reads, in order. */
  readonly parts: readonly string[];
}

/**
 * What all queries give each key, and of that what is given to keys after the query. Columns beyond the tokens' own are
 * taken to stand before them. Sums over queries are products with a row of ones: a reduction over them would bring all
 * into another order first.
 *
 * @param pattern name of a value [..., heads, queries, keys]
 */
export function patternNodes(build: Reducing, pattern: string): ReducedPattern {
  const [tokens, keys] = [build.extentOf(pattern, -2), build.extentOf(pattern, -1)];
  const one = build.ints([1]);
  const query = build.reshape(build.counted(one, build.sum(tokens, one)), [-1, 1]);
  // A query sees keys of smaller place.
  const after = build.less(build.counted(build.node('Sub', [tokens, keys]), tokens), query);
  const weights = build.float32(pattern);
  const ones = build.reshape(build.ones(tokens), [1, -1]);
  const sums = (some: string) => build.node('MatMul', [ones, some]);
  return {
    shape: build.node('Shape', [pattern]),
    parts: [sums(weights), sums(build.where(after, build.float(0), weights))],
  };
}

/**
 * Statistics of a pattern of so many tokens; undefined where it has weights that are not finite, or columns that do not
 * stand before the tokens', or where weights behind a query are too many to be dust, and may be too small to be more.
 *
 * @param shape as {@link patternNodes} gives it
 */
export function patternIn(parts: JoinedParts, shape: Value, tokens: number): PatternStatistics | undefined {
  const [keys = 0, queries = 0, ...leading] = numbers(shape).toReversed();
  const heads = leading.reduce((product, extent) => product * extent, 1);
  const [sums, unseen] = [parts.take(heads * keys), parts.take(heads * keys)];
  const columns = keys - tokens;
  const most = greatest(unseen, 0);
  const causal = !(most > noWeight);
  if (queries !== tokens || columns < 0 || (columns > 0 && !causal)) return undefined;
  if (!sums.every(Number.isFinite) || !unseen.every(Number.isFinite)) return undefined;
  if (!causal && most <= noWeight * queries) return undefined;
  const alpha = new Float32Array(heads * tokens);
  const extra = new Float32Array(heads);
  for (let head = 0; head < heads; head++) {
    const given = (key: number) => {
      const at = head * keys + key;
      return (sums[at] ?? 0) - (causal ? (unseen[at] ?? 0) : 0);
    };
    for (let key = 0; key < tokens; key++)
      alpha[head * tokens + key] = given(columns + key) / (causal ? tokens - key : tokens);
    for (let column = 0; column < columns; column++) extra[head] = (extra[head] ?? 0) + given(column) / tokens;
  }
  return { heads, tokens, alpha, causal, extra: columns === 0 ? undefined : { side: 'first', columns, alpha: extra } };
}
