/** How much parameters matter for what sequences end in: what is asked and what is said. */
import * as v from 'valibot';
import { real, type Sent, text, whole } from '../../schemas.js';
import { memory, path, stream, threads } from './request.js';

const sequences = v.pipe(v.array(v.pipe(v.array(whole), v.minLength(1))), v.minLength(1));

export const activationRequest = v.object({
  model: path,
  stream,
  /** Token ids, prefix included. */
  sequences,
  /** Others, whose signed products with the gradient are compared with those of the first. */
  against: v.optional(sequences),
  /** Levels above which parameters are counted. */
  thresholds: v.array(v.pipe(v.number(), v.minValue(0))),
  memory,
  threads,
});
export type ActivationRequest = Sent<typeof activationRequest>;

export const activationEvent = v.object({
  type: v.literal('activation'),
  /** Of block k, 1-based; the last comes first. */
  layer: whole,
  /** Of the block's products with a weight, as far as they are floats. */
  parameters: whole,
  /** |w · ∂y/∂w|, y the largest logit after the last token: the mean over sequences and parameters. */
  mean: real,
  /** By threshold, the share of parameters whose mean over sequences is above it. */
  above: v.array(real),
  /** Σ|a·b| ÷ (‖a‖‖b‖) of the signed products; undefined where there is nothing to compare with. */
  similarity: v.optional(real),
  /**
   * The same of the first half of the sequences with the second, and with as many of the others; undefined where there
   * are not as many.
   */
  within: v.optional(real),
  between: v.optional(real),
});
export type ActivationEvent = Sent<typeof activationEvent>;

/** The blocks up to `layer` cannot be had. */
const endedEvent = v.object({ type: v.literal('ended'), layer: whole, why: text });

export const activationEvents = [activationEvent, endedEvent] as const;
