/** From values to places on a ramp of colours. */
import { formatRatio } from '../src/analysis/format.js';
import type { Thresholds } from '../src/analysis/thresholds.js';
import { tintScale } from '../src/analysis/tint.js';
import type { RampName } from './theme.js';

export interface Scale {
  /** Values at the two ends of the ramp. */
  readonly from: number;
  readonly to: number;
  readonly ramp: RampName;
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
  return { ramp: 'magnitude', from, to, at, ticks: [from, ...inner, to], format };
}

/** Of multiples of a layer's median: the same for every run, with ticks where large and massive begin. */
export function multipleScale({ soft, ratio }: Pick<Thresholds, 'soft' | 'ratio'>): Scale {
  const { from, to } = tintScale;
  const scale = logScale(from, to, formatRatio);
  const marked = [from, 10, soft, ratio, to].filter((tick) => tick >= from && tick <= to);
  const ticks = [...new Set(marked)].sort((a, b) => a - b);
  return { ...scale, ticks, format: (value) => (value === to ? `≥ ${formatRatio(to)}` : formatRatio(value)) };
}

export function linearScale(
  from: number,
  to: number,
  format: (value: number) => string,
  ramp: RampName = 'magnitude',
): Scale {
  const at = (value: number) => (value - from) / (to - from);
  return { ramp, from, to, at, ticks: [from, (from + to) / 2, to], format };
}

/** Of labels from left to right those that are written: both ends, and between them what runs into no other. */
export function apart<L extends { readonly x: number; readonly half: number }>(labels: readonly L[]): readonly L[] {
  const [first, last] = [labels[0], labels.at(-1)];
  if (first === undefined || last === undefined || first === last) return labels;
  let edge = first.x + first.half;
  const inner = labels.slice(1, -1).filter(({ x, half }) => {
    const fits = x - half >= edge && x + half <= last.x - last.half;
    if (fits) edge = x + half;
    return fits;
  });
  return [first, ...inner, last];
}
