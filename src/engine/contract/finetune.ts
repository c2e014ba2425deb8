/** Fine-tuning a model by low-rank adapters: what is asked and what is said. */
import * as v from 'valibot';
import { flag, real, type Sent, text, whole } from '../../schemas.js';
import { memory, path, stream, threads } from './request.js';

const positive = v.pipe(v.number(), v.gtValue(0));

export const finetuneRequest = v.object({
  model: path,
  stream,
  /** Token ids, prefix included, of one length; the tokens from `from` on are scored. */
  sequences: v.pipe(v.array(v.pipe(v.array(whole), v.minLength(2))), v.minLength(1)),
  from: v.pipe(whole, v.minValue(1)),
  steps: v.pipe(whole, v.minValue(1)),
  /** Sequences of a step. */
  batch: v.pipe(whole, v.minValue(1)),
  /** Of AdamW, constant. */
  rate: positive,
  rank: v.pipe(whole, v.minValue(1)),
  /** Products that get an adapter: of queries and values, or all of the blocks. */
  target: v.picklist(['qv', 'all']),
  /** MacDrop (arXiv:2410.01866): rows of the first weights of a block's MLP that are dropped, with which probability at first. */
  drop: v.optional(
    v.object({
      block: v.pipe(whole, v.minValue(1)),
      dims: v.pipe(v.array(whole), v.minLength(1)),
      probability: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
    }),
  ),
  /** Of initial weights, the order of sequences, and what is dropped. */
  seed: whole,
  /** The adapter, in whose folder everything is written. */
  save: v.object({ file: path }),
  memory,
  threads,
});
export type FinetuneRequest = Sent<typeof finetuneRequest>;

const adapter = v.object({
  /** 1-based. */
  block: whole,
  /** What its product is to the block. */
  part: text,
  /** The module's name in the adapter's file. */
  module: text,
  inputs: whole,
  outputs: whole,
});

export const adaptersEvent = v.object({
  type: v.literal('adapters'),
  adapters: v.array(adapter),
  /** Whether module names are those of the file; false where it has none and they were made up. */
  named: flag,
  /** Whether queries' and values' products could not be told from keys', and all of the attention's are adapted. */
  together: flag,
  /** Products that were asked for and cannot carry an adapter, and why, as a clause. */
  without: v.array(v.object({ block: whole, part: text, name: text, why: text })),
});
export type AdaptersEvent = Sent<typeof adaptersEvent>;

export const stepEvent = v.object({
  type: v.literal('step'),
  /** 1-based. */
  step: whole,
  /** Mean of −ln p over the step's scored tokens, before it changed anything. */
  loss: real,
  /** With which massive weights were dropped in it. */
  probability: real,
  /** The last step after which the adapter was written; 0 where none was. */
  saved: whole,
});
export type StepEvent = Sent<typeof stepEvent>;

export const finetuneEvents = [adaptersEvent, stepEvent] as const;

export const finetunedEvent = v.object({
  type: v.literal('finetuned'),
  seconds: real,
  /** The merged model. */
  model: path,
});
