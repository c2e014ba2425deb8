import { formatNumber } from '../src/analysis/format.js';

/** Mean attention α, or a single attention weight: `0.74`. */
export const formatWeight = (weight: number): string => (Number.isFinite(weight) ? weight.toFixed(2) : '–');

/** A probability: `31 %`, `0.4 %`. */
export const formatPercent = (probability: number): string => `${formatNumber(probability * 100)} %`;
