/** An attention pattern in what sinks are read from. */
import { looksAhead, sumsByHead } from './passes.js';
import type { CrossStatistics, PatternStatistics } from './statistics.js';

/** A softmax under a mask leaves exact zeros; half-precision casts and additive masks may leave dust. */
export const noWeight = 1e-6;

/**
 * Reduces one layer's attention pattern [heads, tokens, keys] (row-major, probabilities) to what sinks are read from.
 *
 * `keys` may exceed `tokens` by columns that belong to no token. Where those are is read from the causal triangle:
 * an explicit k′/v′ column stands before the tokens' own columns, so the first query has weight in columns
 * 0 … extra; learned sinks stand after them, so it has weight in column 0 and in the last ones. A single query
 * cannot tell and counts as the former; a pattern that is not causal as the latter.
 *
 * @throws RangeError where the extents do not fit `values`, or there are fewer keys than tokens.
 */
export function patternStatistics(
  values: Float32Array,
  heads: number,
  tokens: number,
  keys: number,
): PatternStatistics {
  if (values.length !== heads * tokens * keys || keys < tokens) {
    throw new RangeError(`A pattern of ${heads} × ${tokens} × ${keys} cannot have ${values.length} elements`);
  }
  const extents = { heads, tokens, keys };
  const columns = keys - tokens;
  const isCausal = (first: number) => !looksAhead(values, extents, first, noWeight);
  const causalAfter = columns > 0 && isCausal(columns);
  const causal = causalAfter || isCausal(0);
  /** Column of the first token. */
  const offset = causalAfter ? columns : 0;

  const alpha = new Float32Array(heads * tokens);
  let at = 0;
  for (const sums of sumsByHead(values, extents, offset, causal))
    for (const [key, sum] of sums.entries()) alpha[at++] = sum / (causal ? tokens - key : tokens);
  const extraAlpha = new Float32Array(heads);
  for (let head = 0; columns > 0 && head < heads; head++) {
    let extraSum = 0;
    for (let query = 0; query < tokens; query++) {
      const extra = (head * tokens + query) * keys + (causalAfter ? 0 : tokens);
      for (let column = 0; column < columns; column++) extraSum += values[extra + column] ?? 0;
    }
    extraAlpha[head] = extraSum / tokens;
  }
  return {
    heads,
    tokens,
    alpha,
    causal,
    extra: columns === 0 ? undefined : { side: causalAfter ? 'first' : 'last', columns, alpha: extraAlpha },
  };
}

/**
 * Reduces one layer's patterns of attention to other states, [heads, tokens, positions] (row-major, probabilities).
 *
 * @throws RangeError where the extents do not fit `values`
 */
export function crossStatistics(
  values: Float32Array,
  heads: number,
  tokens: number,
  positions: number,
): CrossStatistics {
  if (values.length !== heads * tokens * positions)
    throw new RangeError(`A pattern of ${heads} × ${tokens} × ${positions} cannot have ${values.length} elements`);
  const alpha = new Float32Array(heads * positions);
  const sums = new Float64Array(positions);
  for (let head = 0; head < heads; head++) {
    sums.fill(0);
    for (let token = 0; token < tokens; token++) {
      const row = (head * tokens + token) * positions;
      for (let key = 0; key < positions; key++) sums[key] = (sums[key] ?? 0) + (values[row + key] ?? 0);
    }
    for (let key = 0; key < positions; key++) alpha[head * positions + key] = (sums[key] ?? 0) / tokens;
  }
  return { heads, tokens, positions, alpha };
}
