/** Products of a quantised model that are computed as the model as it was does: what is asked and what is said. */
import * as v from 'valibot';
import { flag, real, type Sent, text, whole } from '../../schemas.js';
import { sequence } from './measure.js';
import { quantisation } from './pair.js';
import { memory, path, threads } from './request.js';

export const restoreRequest = v.object({
  reference: path,
  ...quantisation.entries,
  sequences: v.pipe(v.array(sequence), v.minLength(1)),
  /** Each the products, by their index, that are restored together; none at all: they are only told. */
  variants: v.array(v.pipe(v.array(whole), v.minLength(1))),
  /** Whether each, which then are of one block, is followed to the end of that block alone: said is what is left there. */
  inBlock: v.optional(flag),
  memory,
  threads,
});
export type RestoreRequest = Sent<typeof restoreRequest>;

const product = v.object({
  /** From 1; L + 1 is the output head. */
  block: whole,
  part: text,
  /** Name of its node in the model's file; empty where it has none. */
  node: text,
  /** Its operator. */
  op: text,
  /** The initializers of its weight. */
  weights: v.array(text),
  /** Elements of the weight, and its bytes in the model's file. */
  elements: whole,
  bytes: whole,
});
export type RestorableProduct = Sent<typeof product>;

export const productsEvent = v.object({
  type: v.literal('products'),
  products: v.array(product),
  /** Products of the model that a scheme leaves as they are, or that no one product of the file could be told to be. */
  without: whole,
  /** What a scheme leaves as it is, in the words of its operators. */
  kinds: v.array(text),
  /** Products that a scheme takes and whose weight the model's file computes, as by a `Cast` or a `Transpose`. */
  computed: whole,
  /** Whether products of bytes, of which the file has some, saturate on this processor. */
  saturating: flag,
});
export type ProductsEvent = Sent<typeof productsEvent>;

/** What several ways of computing a sequence come to. */
export const sums = v.object({
  sequence: whole,
  /** Scored. */
  tokens: whole,
  /** KLD in nats, summed over the scored tokens, by way. */
  kld: v.array(real),
  /** −ln p of the tokens that follow, summed, by way. */
  losses: v.array(real),
});
export type Sums = Sent<typeof sums>;

/** By variant. */
export const restoredEvent = v.object({ type: v.literal('restored'), ...sums.entries });
export type RestoredEvent = Sent<typeof restoredEvent>;

/**
 * What is left of a block's own noise at its end, on the quantised model's states before it: the squared distance to what
 * the block gives with all its products restored, of each row relative to that row, summed over rows.
 */
export const noisesEvent = v.object({
  type: v.literal('noises'),
  sequence: whole,
  /** By variant: with it restored, and with nothing. */
  left: v.array(real),
  whole: v.array(real),
});
export type NoisesEvent = Sent<typeof noisesEvent>;
