/** The arithmetic mean; NaN of none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The number, or null where it is not finite: what JSON has for it. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/**
 * The greatest of any number of values, or `from` where that is more; NaN where one is. A call takes only so many
 * arguments, so that `Math.max(...values)` fails on long lists.
 */
export function greatest(values: Iterable<number>, from = Number.NEGATIVE_INFINITY): number {
  let most = from;
  for (const value of values) most = Math.max(most, value);
  return most;
}

/** The least, as {@link greatest}. */
export function least(values: Iterable<number>, from = Number.POSITIVE_INFINITY): number {
  let fewest = from;
  for (const value of values) fewest = Math.min(fewest, value);
  return fewest;
}
