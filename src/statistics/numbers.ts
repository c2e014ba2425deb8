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

/**
 * The nearest whole number of a magnitude below 2^51, of two the even one, as Python rounds. Beyond 2^52 a double has
 * no fraction: the sum is rounded as IEEE 754 rounds.
 */
export const halfToEven = (value: number): number => value + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
