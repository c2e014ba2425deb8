/**
 * How strongly a token is tinted, wherever it is shown: by its largest |h| as a multiple of its layer's median, on one
 * scale for every run, so that a colour stands for the same number everywhere.
 */
import { greatest } from '../statistics/numbers.js';
import type { Analysis } from './analysis.js';
import { ratio } from './massive.js';
import type { Thresholds } from './thresholds.js';

/** Multiples of the median at the ends of the scale, which is logarithmic; what is more is coloured as the end. */
export const tintScale = { from: 1, to: 1000 } as const;

/** Steps of the tint of a text. */
export const tintLevels = 8;

/** What is tinted: what stands out (from `soft` on), everything, what surprises the model, what a prediction depends on, nothing. */
export const tintChoices = ['large', 'all', 'surprisal', 'saliency', 'off'] as const;
export type Tint = (typeof tintChoices)[number];

/** Tints of something that is asked for, by a number for each token, and not of magnitudes. */
export const askedTints = ['surprisal', 'saliency'] as const;
export type AskedTint = (typeof askedTints)[number];
export const isAsked = (tint: Tint): tint is AskedTint => askedTints.some((one) => one === tint);

/** The multiple of the median from which a level is reached, 1 … 8. */
export const levelFrom = (level: number): number =>
  tintScale.from * (tintScale.to / tintScale.from) ** (level / tintLevels);

/** {@link levelFrom} of each: texts have thousands of tokens. */
const starts = Array.from({ length: tintLevels }, (_, index) => levelFrom(index + 1));

/** CSS pixels of the line under a token of a level, 1 … 8, where contrast is high. */
export const tintEdge = (level: number): number => Math.ceil(level / 2);

/** Nats of a level of surprisal: its own scale, and colours of its own. */
const natsOfLevel = 1.25;

/** The surprisal in nats from which a level is reached, 1 … 8. */
export const surprisalFrom = (level: number): number => natsOfLevel * level;

/** The level of a surprisal in nats: 1 … 8, or 0 for no tint. */
export function surprisalLevel(nats: number): number {
  return nats >= natsOfLevel ? Math.min(tintLevels, Math.floor(nats / natsOfLevel)) : 0;
}

/** The share of the largest saliency from which a level is reached, 1 … 8: as a square, for most tokens have little. */
export const saliencyFrom = (level: number): number => (level / tintLevels) ** 2;

/** The level of a saliency as a share of the largest, whatever its sign: 1 … 8, or 0 for no tint. */
export function saliencyLevel(share: number): number {
  return Math.min(tintLevels, Math.floor(tintLevels * Math.sqrt(Math.abs(share)))) || 0;
}

/** Each saliency as a share of the largest magnitude among them. */
export function saliencyShares(saliency: Float32Array): Float32Array {
  const largest = greatest(Array.from(saliency, Math.abs), 0);
  return saliency.map((one) => (largest > 0 ? one / largest : 0));
}

/** The level of a token by what its tint asks for. */
export const askedLevel = (tint: AskedTint, value: number | undefined): number =>
  (tint === 'surprisal' ? surprisalLevel : saliencyLevel)(value ?? 0);

/** The level of a multiple of the median: 1 … 8, or 0 where the tint is not of magnitudes, or not of this one. */
export function tintLevel(multiple: number, tint: Tint, { soft }: Pick<Thresholds, 'soft'>): number {
  if (tint === 'off' || isAsked(tint) || !(multiple >= (tint === 'large' ? soft : 0))) return 0;
  // By comparison, for a logarithm of 1000 may be a hair below that of 10³.
  return starts.findLastIndex((from) => multiple >= from) + 1;
}

/** The multiple of each token, [T]: the largest over all layers that have arrived, or that of one layer. */
export function tokenMultiples({ layers, tokens }: Analysis, layer: number | undefined): number[] {
  const chosen = layer === undefined ? undefined : layers[layer];
  const states = chosen ? [chosen] : layers;
  return (tokens?.tokens ?? []).map((_, token) =>
    greatest(
      states.map((state) => ratio(state.tokenMax[token] ?? 0, state)),
      0,
    ),
  );
}
