/** How much a prediction depends on each token: gradient × input, of h_0. */
import * as v from 'valibot';
import { float32Array, real, text, whole } from '../../../schemas.js';

export const saliencyQuestion = {
  schema: v.strictObject({
    type: v.literal('saliency'),
    /** Token after which the logit is given. */
    token: whole,
    /** Id of the next token whose logit it is; undefined: the most likely. */
    next: v.optional(whole),
  }),
  answer: v.object({
    token: whole,
    next: v.object({ id: whole, text }),
    logit: real,
    /** Of each token the sum over dims of h_0 × the derivative of the logit by it, [T]. */
    saliency: float32Array,
    /** What is to be said of it: rounding that was taken as if it were not there. */
    remarks: v.array(text),
  }),
  fromWebview: true,
} as const;
