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

/**
 * Ticks of a logarithmic axis: powers of ten, with their doubles and fives where there would be too few, and within less
 * than a decade as an even axis has them.
 *
 * @param low above 0
 */
export function logTicks(low: number, high: number): number[] {
  const within = (tick: number) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9);
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const every = Math.ceil((last - first) / 6);
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i).filter((power) => power % every === 0);
  const of = (digits: readonly number[]) =>
    powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`))).filter(within);
  for (const ticks of [of([1]), of([1, 2, 5])]) if (ticks.length >= 3) return ticks;
  if (low === high) return [low];
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((digit) => digit * power >= rough) ?? 10);
  const start = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - start + 1) }, (_, i) => (start + i) * step);
}

/** Places of labels as near to where they belong as can be, in the same order, `gap` apart and between two bounds. */
export function spread(wanted: readonly number[], gap: number, low: number, high: number): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0) || a - b);
  const placed = order.map((i) => wanted[i] ?? 0);
  for (let i = 0; i < placed.length; i++)
    placed[i] = Math.max(placed[i] ?? 0, i === 0 ? low : (placed[i - 1] ?? 0) + gap);
  for (let i = placed.length - 1; i >= 0; i--)
    placed[i] = Math.min(placed[i] ?? 0, i === placed.length - 1 ? high : (placed[i + 1] ?? 0) - gap);
  const places: number[] = [];
  order.forEach((i, rank) => {
    places[i] = placed[rank] ?? 0;
  });
  return places;
}
