/** Remedies against what quantising costs, each as a model of its own beside the model as it was: what is asked and what is said. */
import * as v from 'valibot';
import { type Sent, whole } from '../../schemas.js';
import { smoothing } from './extents.js';
import { sequence } from './measure.js';
import { scheme } from './pair.js';
import { memory, path, threads } from './request.js';
import { sums } from './restore.js';

const treatment = v.object({
  by: scheme,
  /** Products, by their index, that stay as they are. */
  exclude: v.optional(v.array(whole)),
  smooth: v.optional(smoothing),
});
export type Treatment = Sent<typeof treatment>;

const treatedSequence = v.object({
  ...sequence.entries,
  /** Tokens that are put before it in the quantised model alone. */
  lead: v.optional(v.array(whole)),
  /** Tokens, counted with those before, whose rows products compute as the model as it was does. */
  kept: v.optional(v.array(whole)),
});
export type TreatedSequence = Sent<typeof treatedSequence>;

export const treatRequest = v.object({
  reference: path,
  treatments: v.pipe(v.array(treatment), v.minLength(1)),
  sequences: v.pipe(v.array(treatedSequence), v.minLength(1)),
  memory,
  threads,
});
export type TreatRequest = Sent<typeof treatRequest>;

/** By treatment. */
export const treatedEvent = v.object({ type: v.literal('treated'), ...sums.entries });
export type TreatedEvent = Sent<typeof treatedEvent>;
