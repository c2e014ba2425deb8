/** From values to places on a ramp of colours. */

export interface Scale {
  /** Values at the two ends of the ramp. */
  readonly from: number;
  readonly to: number;
  /** Place of a value on the ramp, 0 … 1 within the ends. */
  at(value: number): number;
  readonly ticks: readonly number[];
  format(value: number): string;
}

/** A logarithmic scale with ticks at powers of ten and at its ends. */
export function logScale(from: number, to: number, format: (value: number) => string): Scale {
  const [low, high] = [Math.log(from), Math.log(Math.max(to, from * 1.0001))];
  const at = (value: number) => (Math.log(value) - low) / (high - low);
  const powers = Array.from({ length: 24 }, (_, power) => 10 ** (power - 12));
  const inner = powers.filter((power) => at(power) > 0.12 && at(power) < 0.85);
  return { from, to, at, ticks: [from, ...inner, to], format };
}

export function linearScale(from: number, to: number, format: (value: number) => string): Scale {
  const at = (value: number) => (value - from) / (to - from);
  return { from, to, at, ticks: [from, (from + to) / 2, to], format };
}
