/** How large what products read and give becomes over sequences: what is asked and what is said. */
import * as v from 'valibot';
import { flag, float32Array, type Sent, text, whole } from '../../schemas.js';
import { range } from './pair.js';
import { memory, path, threads } from './request.js';

/** How many times the median of all tokens' a token's largest magnitude is that stands out (PrefixQuant, arXiv:2410.05265). */
export const outlierRatio = 64;

/** By what products read, the factors that its dims are divided by, and the weights' rows multiplied. */
export const smoothing = v.array(v.object({ tensor: text, factors: float32Array }));
export type Smoothing = Sent<typeof smoothing>;

export const extentsRequest = v.object({
  model: path,
  sequences: v.pipe(
    v.array(
      v.object({
        ids: v.pipe(v.array(whole), v.minLength(1)),
        /** Tokens that do not count, but where outliers are looked for. */
        without: v.optional(v.array(whole)),
      }),
    ),
    v.minLength(1),
  ),
  /** Whether rows of weights are looked at too. */
  weights: v.optional(flag),
  /** The model is smoothed first. */
  smooth: v.optional(smoothing),
  memory,
  threads,
});
export type ExtentsRequest = Sent<typeof extentsRequest>;

export const outliersEvent = v.object({
  type: v.literal('outliers'),
  sequence: whole,
  /**
   * By block whose MLP's last product reads one tensor: tokens whose largest magnitude there is more than
   * {@link outlierRatio} times the median of all tokens'.
   */
  blocks: v.array(v.object({ block: whole, tokens: v.array(whole) })),
});

const productInput = v.object({
  tensor: text,
  block: whole,
  /** Whether factors can be folded into what makes it. */
  foldable: flag,
  /** By dim. */
  dimMin: float32Array,
  dimMax: float32Array,
  /** By dim, the largest magnitude of the weights that it is multiplied with; empty where not asked for. */
  weightMax: float32Array,
});
export type InputExtents = Sent<typeof productInput>;

/** Over all sequences, after the last. */
export const extentsEvent = v.object({
  type: v.literal('extents'),
  /** What products of two activations or of one with a weight read and give. */
  ranges: v.array(range),
  /** What products with a weight read. */
  inputs: v.array(productInput),
});
export type ExtentsEvent = Sent<typeof extentsEvent>;
