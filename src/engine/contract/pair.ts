/** A model and a file made from it, run side by side: what is asked and what is said. */
import * as v from 'valibot';
import { flag, float32Array, maybe, real, type Sent, text, uint8Array, whole } from '../../schemas.js';
import { sequence } from './measure.js';
import { memory, path, threads } from './request.js';

export const schemeNames = [
  'int8-dynamic',
  'int8-channel',
  'int8-static',
  'int8-token',
  'int4-block32',
  'int4-block128',
  'fp16',
  'fp8',
  'fp8-token',
] as const;
export type SchemeName = (typeof schemeNames)[number];

/** The least and the largest number that a value was seen to have. */
export const range = v.object({ tensor: text, min: real, max: real });
export type TensorRange = Sent<typeof range>;

export const scheme = v.object({
  what: v.literal('scheme'),
  scheme: v.picklist(schemeNames),
  /** Of a scheme whose scales are fixed beforehand. */
  ranges: v.optional(v.array(range)),
});
export type Simulated = Sent<typeof scheme>;

/** What a model is held against: a file made from it, of as many blocks and as wide, or what a scheme would make of it. */
export const quantisation = v.object({
  by: v.variant('what', [v.object({ what: v.literal('file'), model: path }), scheme]),
});
export type Quantisation = Sent<typeof quantisation>['by'];

export const pairRequest = v.object({
  /** The model as it was. */
  reference: path,
  ...quantisation.entries,
  sequences: v.pipe(v.array(sequence), v.minLength(1)),
  /** Whether each part of the file is also looked at alone among the model's; costs as much as all that is restored. */
  alone: v.optional(flag),
  /** Whether blocks are seen by themselves at all; by default they are. Else there are no `compared` events and no swaps. */
  parts: v.optional(flag),
  memory,
  threads,
});
export type PairRequest = Sent<typeof pairRequest>;

/**
 * Of h_k of the sequences that go through the blocks together, sums of squares: of the reference's entries, of the
 * model's differences from them (`cumulative`), and of the differences where the model's block k is given the
 * reference's h_(k-1) (`local`).
 */
export const comparedEvent = v.object({
  type: v.literal('compared'),
  block: whole,
  signal: real,
  cumulative: real,
  local: real,
  /** The entry that the model's block k moves most by itself, and by how much (Infinity where it makes no number of it); none where nothing moves. */
  farthest: v.optional(v.object({ sequence: whole, token: whole, dim: whole, by: real })),
});
export type ComparedEvent = Sent<typeof comparedEvent>;

/** Which of two entries is moved more; of equals the first. */
export const farther = (one: ComparedEvent['farthest'], other: ComparedEvent['farthest']): ComparedEvent['farthest'] =>
  other && !(one && one.by >= other.by) ? other : one;

export const pairedEvent = v.object({
  type: v.literal('paired'),
  sequence: whole,
  /** −ln p of each scored token. */
  losses: v.object({ reference: float32Array, model: float32Array }),
  /** By scored token: KL(reference ‖ model) of what is predicted there, in nats. */
  kld: float32Array,
  /** By scored token: 1 where both have the same most likely one. */
  same: uint8Array,
  /** By scored token: its probability in the model, less that in the reference. */
  change: float32Array,
  /**
   * KLD summed over the scored tokens, by what is exchanged: 0 the embedding, then the blocks from 1 on, last the
   * output head; none where no parts were asked for. `alone`, where it was asked for: the reference with that of the model; `restored`: the model with that of
   * the reference.
   */
  swaps: v.array(v.object({ alone: maybe(real), restored: real })),
});
export type PairedEvent = Sent<typeof pairedEvent>;
