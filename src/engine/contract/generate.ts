/** Text that a model writes on: what is asked and what is said. */
import * as v from 'valibot';
import { exactly, flag, float32Array, maybe, real, type Sent, text, whole } from '../../schemas.js';
import type { DrawnToken } from '../../statistics/running.js';
import { entry, hiddenState, prediction, tokensEvent } from './events.js';
import { chat, lineEnds, memory, path, stream, threads } from './request.js';

export const generateRequest = v.object({
  model: path,
  stream,
  prompt: v.union([v.strictObject({ text }), v.strictObject({ ids: v.array(v.number()) })]),
  /** Undefined: as the model's files say. */
  bos: v.optional(flag),
  lineEnds,
  chat,
  /** Which part is written on where the prompt leaves no room; undefined: fail with code `too-long`. */
  window: v.optional(v.picklist(['first', 'last'])),
  /** How many new tokens there are to be at most. */
  tokens: v.pipe(whole, v.minValue(1)),
  sampling: v.object({
    /** 0: always the most likely token. */
    temperature: v.pipe(v.number(), v.finite(), v.minValue(0)),
    /** 0: all. */
    topK: whole,
    topP: v.pipe(v.number(), v.gtValue(0), v.maxValue(1)),
    seed: whole,
  }),
  /** Whether a token that ends a text ends it. */
  untilEnd: flag,
  sinks: v.object({ epsilon: v.number(), minQueries: v.pipe(whole, v.minValue(1)), minShare: v.number() }),
  memory,
  threads,
});
export type GenerateRequest = Sent<typeof generateRequest>;

const drawn = exactly<DrawnToken>()(v.object({ token: whole, heads: whole, alpha: float32Array }));

export const begunEvent = v.object({
  type: v.literal('begun'),
  /** What the model is called. */
  name: text,
  bos: maybe(flag),
  prompt: v.object({
    tokens: tokensEvent.entries.tokens,
    total: tokensEvent.entries.total,
    window: tokensEvent.entries.window,
  }),
  /** Of the prompt, h_0 … h_L. */
  states: v.array(hiddenState),
  /** Of the prompt, by layer: the cosine of each token's hidden state and the first one's, [T]. */
  alike: v.array(float32Array),
  /** Heads whose pattern is known. */
  heads: whole,
  sinks: v.array(drawn),
});
/** The prompt was run. */
export type BegunEvent = Sent<typeof begunEvent>;

export const writtenEvent = v.object({
  type: v.literal('written'),
  id: whole,
  /** The token's own. */
  text,
  /** What all new tokens add to the text by now; a character of which some tokens are to come ends it as U+FFFD. */
  added: text,
  /** −ln p of it, and the entropy of what might have come, in nats, at temperature 1. */
  surprisal: real,
  entropy: real,
  /** Most likely first, itself among them or not. */
  alternatives: v.array(prediction),
  /** Its largest entries by layer, h_0 … h_L, largest first; `token` counts from the prompt's first. */
  top: v.array(v.array(entry)),
  /** By layer, the cosine of its hidden state and the first token's. */
  alike: float32Array,
  /** The sinks among all tokens so far. */
  sinks: v.array(drawn),
});
/** A token was written, and run. */
export type WrittenEvent = Sent<typeof writtenEvent>;

export const generatedEvent = v.object({
  type: v.literal('generated'),
  seconds: real,
  /** What the new tokens add to the text. */
  text,
  /** `tokens`: there are as many as were asked for. `end`: the model ended. `context`: there is no room for more. */
  ended: v.picklist(['tokens', 'end', 'context']),
  cache: v.object({
    /** Tokens that were run on from a cache. */
    tokens: whole,
    /** Of its tensors, at the end. */
    bytes: whole,
    /** Why there was none, or from some token on none; in words. */
    without: maybe(text),
  }),
});
export type GeneratedEvent = Sent<typeof generatedEvent>;
