import { formatNumber } from '../src/analysis/format.js';
import { ratio } from '../src/analysis/massive.js';
import type { HiddenStatistics } from '../src/statistics/statistics.js';

/** How far a token's largest |h| stands above the median of its layer; NaN where there is no such layer or token. */
export function ratioAt(statistics: HiddenStatistics | undefined, token: number): number {
  return statistics ? ratio(statistics.tokenMax[token] ?? Number.NaN, statistics) : Number.NaN;
}

/** Mean attention α, or a single attention weight: `0.74`. */
export const formatWeight = (weight: number): string => (Number.isFinite(weight) ? weight.toFixed(2) : '–');

/** A single attention weight in three digits, however small it is: `0.00217`, `3.14e−9`. */
export const exactWeight = (weight: number): string => (Number.isFinite(weight) ? formatNumber(weight) : '–');

/** A probability: `31.0 %`, `0.42 %`. */
export function formatPercent(probability: number): string {
  const percent = probability * 100;
  if (percent > 0 && percent < 0.01) return '< 0.01 %';
  return `${percent.toFixed(percent >= 10 ? 1 : 2)} %`;
}
