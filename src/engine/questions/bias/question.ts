/** What chosen keys of one block, tokens or the columns that belong to no token, add to every query, against the rest. */
import * as v from 'valibot';
import { maybe, real, whole } from '../../../schemas.js';

/** Norms and directions of the vectors [queries, width] that a part of the keys adds, one vector for each query. */
const update = v.object({
  /** Mean L2 norm over queries. */
  norm: real,
  /** Mean cosine similarity over all pairs of different queries: 1 where all get the same vector, up to its length. */
  cosine: real,
});
const updates = v.object({ chosen: update, rest: update });

/** Means over the chosen tokens or keys, and over all others; NaN where there are none. */
const pair = v.tuple([real, real]);

export const biasQuestion = {
  schema: v.strictObject({
    type: v.literal('bias'),
    /** Block k, 1-based. */
    layer: whole,
    tokens: v.union([v.literal('extra'), v.pipe(v.array(whole), v.minLength(1))]),
  }),
  answer: v.object({
    /** The queries that count: those after the last chosen key, and never the first, which sees itself alone. */
    counted: v.object({ from: whole, queries: whole }),
    /** By head: attention on the chosen keys, averaged over these queries, and the value updates Σ p·v. */
    heads: v.array(v.object({ share: real, ...updates.entries })),
    /** All heads together, through the output projection (without its bias); undefined where that was not found. */
    projected: maybe(updates),
    /** (Σx²)² ÷ Σx⁴ of what enters the block and of the norm's output: 1 for one spike, D for a flat vector. */
    participation: v.object({ input: pair, normed: maybe(pair) }),
    /** L2 norms. */
    norms: v.object({ input: pair, normed: maybe(pair) }),
    /** L2 norms by head (of keys and values: a group of heads may share them), keys as the scores' product reads them. */
    keyNorm: maybe(v.array(pair)),
    valueNorm: v.array(pair),
  }),
  fromWebview: false,
} as const;
