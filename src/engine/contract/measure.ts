/** Scoring of sequences under variants: what is asked and what is said. */
import * as v from 'valibot';
import { float32Array, real, type Sent, text, whole } from '../../schemas.js';
import { entries, intervention } from './interventions.js';
import { attentionWindow, memory, path, stream, threads, weightScalar } from './request.js';

const variant = v.object({
  name: text,
  interventions: v.array(intervention),
  /** What is as it is in the sequence's `other`. */
  patches: v.optional(v.array(entries)),
  /** Every block attends through this window; undefined: as the model does. */
  attention: v.optional(attentionWindow),
});
/** A way to run a sequence. */
export type Variant = Sent<typeof variant>;

export const sequence = v.object({
  ids: v.pipe(v.array(whole), v.minLength(2)),
  /** The tokens from this index on are scored, each by what comes before it; at least 1, and their number for none. */
  from: v.pipe(whole, v.minValue(1)),
});
export type Sequence = Sent<typeof sequence>;

/** Variants of one sequence may differ from those of another: not all have the same tokens at the same places. */
const scoredSequence = v.object({
  ...sequence.entries,
  variants: v.array(variant),
  /** Another sequence as long, run as the model is, whose values `patches` take. */
  other: v.optional(v.array(whole)),
  /** Two tokens whose logits after the last one are compared. */
  answers: v.optional(v.tuple([whole, whole])),
});
export type ScoredSequence = Sent<typeof scoredSequence>;

export const measureRequest = v.object({
  model: path,
  stream,
  sequences: v.array(scoredSequence),
  /** Scalars of weights that are 0 in all variants. */
  without: v.optional(v.array(weightScalar)),
  /** By block, which part of its matrices’ entries is 0 in all variants: the smallest ones. */
  prune: v.optional(v.array(v.pipe(v.number(), v.minValue(0), v.maxValue(1)))),
  memory,
  threads,
});
export type MeasureRequest = Sent<typeof measureRequest>;

export const measuredEvent = v.object({
  type: v.literal('measured'),
  /** Index of the sequence, and of its variant. */
  sequence: whole,
  variant: whole,
  /** −ln p of each scored token. */
  losses: float32Array,
  /** Logit of the first answer − that of the second, where there are `answers`. */
  difference: v.optional(real),
});
export type MeasuredEvent = Sent<typeof measuredEvent>;

export const progressEvent = v.object({
  type: v.literal('progress'),
  from: whole,
  to: whole,
  done: whole,
  of: whole,
});
/** Sequences `from` to before `to` go through the blocks together: they have been through `done` of `of`. */
export type ProgressEvent = Sent<typeof progressEvent>;

/** The last thing that is said of many sequences. */
export const doneEvent = v.object({ type: v.literal('done'), seconds: real });
export type DoneEvent = Sent<typeof doneEvent>;
