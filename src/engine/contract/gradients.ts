/** Derivatives by hidden states: what is asked and what is said. */
import * as v from 'valibot';
import { float32Array, real, type Sent, text, whole } from '../../schemas.js';
import { part, prompt, startedEvent, tokensEvent } from './events.js';
import { chat, lineEnds, memory, path, stream, threads } from './request.js';

export const objective = v.variant('kind', [
  /** The mean of −ln p over the tokens that are scored: all but the prefix token, or the first where there is none. */
  v.object({ kind: v.literal('loss') }),
  /** The logit of a token id after a token. */
  v.object({ kind: v.literal('logit'), id: whole, token: whole }),
  /** An entry of h_`layer`. */
  v.object({ kind: v.literal('hidden'), layer: whole, token: whole, dim: whole }),
  /** The sum of squares of what the model gives, for models without a head over a vocabulary. */
  v.object({ kind: v.literal('squares') }),
]);
/** What a derivative is taken of. */
export type Objective = Sent<typeof objective>;

export const gradientsRequest = v.object({
  model: path,
  stream,
  prompt,
  /** Undefined: as the model's own files say. */
  bos: v.optional(v.boolean()),
  lineEnds,
  chat,
  window: part,
  of: objective,
  /** Where `grad.hidden.k` [T, D] are written, as safetensors. */
  save: v.optional(v.object({ file: path })),
  memory,
  threads,
});
export type GradientsRequest = Sent<typeof gradientsRequest>;

export const objectiveEvent = v.object({
  type: v.literal('objective'),
  /** Of what the derivative is taken; the loss in nats. */
  value: real,
  /** Tokens whose loss it is the mean of. */
  scored: v.optional(whole),
  /** Of squares: the output that is squared, as the file names it. */
  output: v.optional(text),
});
export type ObjectiveEvent = Sent<typeof objectiveEvent>;

export const gradientEvent = v.object({
  type: v.literal('gradient'),
  layer: whole,
  /** L2 norm of the derivative by h_`layer`, by token. */
  norms: float32Array,
  /** Entries of the derivative, and of h_`layer` itself, that are no finite numbers. */
  nonFinite: whole,
  stateNonFinite: whole,
  /** Of an entry of a hidden state: what it is in h_`layer`. */
  entry: v.optional(real),
});
export type GradientEvent = Sent<typeof gradientEvent>;

const weightEntry = v.object({
  /** What the product that reads the weight is to its block. */
  part: text,
  /** The initializer, as the file names it. */
  weight: text,
  /** Of what the product gives, and of what it reads. */
  row: whole,
  column: whole,
  value: real,
  /** w · the derivative by w. */
  product: real,
});
/** An entry of a weight, and how much of a number it makes. */
export type WeightEntry = Sent<typeof weightEntry>;

/** Of an entry of a hidden state: the largest |products| of each weight of block `layer`. */
export const makersEvent = v.object({ type: v.literal('makers'), layer: whole, entries: v.array(weightEntry) });

/** The layers before h_`layer` cannot be had. */
export const blockedEvent = v.object({ type: v.literal('blocked'), layer: whole, why: text });
export type BlockedEvent = Sent<typeof blockedEvent>;

/** What there is to be said of the result. */
export const remarkEvent = v.object({ type: v.literal('remark'), text });

export const gradientsEvent = v.variant('type', [
  startedEvent,
  tokensEvent,
  objectiveEvent,
  gradientEvent,
  makersEvent,
  blockedEvent,
  remarkEvent,
]);
