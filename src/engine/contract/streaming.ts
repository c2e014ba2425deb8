/** One long sequence through caches of keys and values: what is asked and what is said. */
import * as v from 'valibot';
import { flag, float32Array, maybe, real, type Sent, text, whole } from '../../schemas.js';
import { attentionWindow, memory, path, stream, threads } from './request.js';

/**
 * Tokens, at most, on which it is read off and checked what attention does; half of them are run at once. How far it
 * looks back is read off a longer run, as long as the memory has room for.
 */
export const checkedTokens = 256;

const way = v.object({
  name: text,
  /** What is kept, the newest token included; undefined: everything. */
  kept: v.optional(attentionWindow),
  /**
   * Which positions the tokens of the cache have: those in the sequence, or those that they have in the cache
   * (arXiv:2309.17453), so that none is beyond the window.
   */
  positions: v.picklist(['sequence', 'cache']),
  /**
   * Keys and values are rounded to so many bits as they enter, all but those of the first `float` tokens and, where that
   * is given, of those whose hidden state has a massive activation as it enters the block.
   */
  rounded: v.optional(
    v.object({
      bits: v.picklist([4, 8]),
      float: whole,
      massive: v.optional(v.object({ absolute: real, ratio: real })),
    }),
  ),
  /** Whether it is to be told what the keys that are let go of would have drawn. */
  tells: v.optional(flag),
});
/** How a cache is kept. */
export type CacheWay = Sent<typeof way>;

export const streamRequest = v.object({
  model: path,
  stream,
  /** Scored from the second on. */
  ids: v.pipe(v.array(whole), v.minLength(4)),
  ways: v.pipe(v.array(way), v.minLength(1)),
  /** Whether to time how fast the file itself runs on. */
  timed: flag,
  memory,
  threads,
});
export type StreamRequest = Sent<typeof streamRequest>;

export const streamedEvent = v.object({
  type: v.literal('streamed'),
  /** Index among the ways. */
  way: whole,
  /** −ln p of every token but the first; empty where the way cannot be gone. */
  losses: float32Array,
  /** Why it cannot, in words that follow a colon. */
  why: maybe(text),
  /** Of the cache at the end, in the numbers that it is kept in; 0 where the way cannot be gone. */
  bytes: whole,
  /** Tokens on which it was seen how far back the model itself looks; the sequence may be longer. */
  checked: whole,
  /**
   * By block and head, the attention mass that evicted keys would have had at their positions in the sequence, on
   * average over the queries that some had been evicted before; empty for a block without attention.
   */
  evicted: v.optional(v.array(v.array(real))),
  /** Tokens that the file itself runs in a second, one after another at the end of the sequence; undefined: not known. */
  perSecond: v.optional(real),
});
/** The sequence went one way. */
export type StreamedEvent = Sent<typeof streamedEvent>;
