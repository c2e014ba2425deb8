/** The arithmetic mean; NaN of none. */
export function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** The value below which the share `q` of them is, between two of them in proportion (NumPy's `quantile`); NaN of none, and where one is NaN. */
export function quantile(values: readonly number[], q: number): number {
  if (values.some(Number.isNaN)) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const [below = Number.NaN, above = below] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below === above ? below : below + (at - Math.floor(at)) * (above - below);
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

/** Lists one after another. */
export function joinedFloats(lists: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(lists.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}
