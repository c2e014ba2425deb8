/** Attribution patching: what is asked and what is said. */
import * as v from 'valibot';
import { float32Array, real, type Sent, whole } from '../../schemas.js';
import { blockedEvent, remarkEvent } from './gradients.js';
import { point } from './interventions.js';
import { memory, path, stream, threads } from './request.js';

const ids = v.pipe(v.array(whole), v.minLength(1));

export const attributeRequest = v.object({
  model: path,
  stream,
  /** Token ids of two prompts as long, prefix included. */
  clean: ids,
  corrupt: ids,
  /** Two tokens whose logits after the last one are compared. */
  answers: v.tuple([whole, whole]),
  /** The activations that are looked at: this point of these blocks. */
  point,
  blocks: v.pipe(v.array(whole), v.minLength(1)),
  memory,
  threads,
});
export type AttributeRequest = Sent<typeof attributeRequest>;

/** Logit of the first answer − that of the second after the last token, of the two runs as they are. */
const differencesEvent = v.object({ type: v.literal('differences'), clean: real, corrupt: real });

export const attributedEvent = v.object({
  type: v.literal('attributed'),
  /** Block k, 1-based; the last comes first. */
  block: whole,
  /** (clean − corrupt) × the gradient of the corrupt run's difference: summed over dims, [T], and over tokens, [D]. */
  tokens: float32Array,
  dims: float32Array,
});
export type AttributedEvent = Sent<typeof attributedEvent>;

export const attributeEvent = v.variant('type', [differencesEvent, attributedEvent, blockedEvent, remarkEvent]);
