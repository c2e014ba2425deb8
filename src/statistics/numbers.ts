/** The arithmetic mean; NaN of none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The number, or null where it is not finite: what JSON has for it. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
