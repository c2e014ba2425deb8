/** What the tensors of a run are like where precision is lost: what is asked and what is said. */
import * as v from 'valibot';
import { exactly, int32Array, maybe, real, type Sent, text, whole } from '../../schemas.js';
import type { ByScale } from '../../statistics/rounding.js';
import { memory, path, stream, threads } from './request.js';

export const precisionRequest = v.object({
  model: path,
  stream,
  /** Token ids, prefix included. */
  ids: v.pipe(v.array(whole), v.minLength(1)),
  /** |x| from which on an entry counts towards an outlier feature. */
  outlier: v.pipe(v.number(), v.minValue(0)),
  memory,
  threads,
});
export type PrecisionRequest = Sent<typeof precisionRequest>;

const extent = {
  /** 1-based; 0 is what comes before h_0, L + 1 what comes after h_L. */
  block: whole,
  /** The value of the graph. */
  tensor: text,
  /** Largest finite magnitude; of several, that of the first token. */
  max: real,
  /** Where it is; undefined where rows are no tokens. */
  token: maybe(whole),
  dim: whole,
  /** Lower median of the magnitudes. */
  median: real,
  /** NaN or infinite entries. */
  nonFinite: whole,
  /** The first of them; `token` undefined where rows are no tokens. */
  firstNonFinite: maybe(v.object({ token: maybe(whole), dim: whole })),
};

const point = v.object({
  ...extent,
  /**
   * `input` and `product`: what a product with a weight reads and gives; `norm` and `norm_squares`: what a norm gives,
   * and what it takes the mean of.
   */
  point: v.picklist(['resid_post', 'resid_mid', 'norm', 'norm_squares', 'input', 'product', 'logits']),
  /** Of `input` and `product`: what the tensor that is read is to its block. */
  part: maybe(text),
});
/** A tensor that has to fit a format. */
export type PrecisionPoint = Sent<typeof point>;

const byScale = exactly<ByScale>()(v.object({ tensor: real, token: real }));

const productInput = v.object({
  ...extent,
  part: text,
  nodes: v.array(v.object({ /** As in the file; empty where it has none. */ name: text, op: text })),
  /** Initializers that the weights are made of. */
  weights: v.array(text),
  rows: whole,
  dims: whole,
  int8: byScale,
  underflow: byScale,
  dispersion: real,
  kurtosis: real,
  /** By dim, how many rows reach `outlier`. */
  outliers: int32Array,
});
/** A tensor that products with a weight read. */
export type ProductInput = Sent<typeof productInput>;

export const precisionEvent = v.object({
  type: v.literal('precision'),
  block: whole,
  inputs: v.array(productInput),
  points: v.array(point),
  /** Products with a weight whose input is not computed from the tokens shown, or cannot be fetched. */
  unmeasured: whole,
  /** Where something is above the largest half: the nodes that make or read such values, as in the file. */
  overflowing: v.array(v.object({ name: text, op: text })),
});
/** Of one block, in the order of blocks. */
export type PrecisionEvent = Sent<typeof precisionEvent>;
