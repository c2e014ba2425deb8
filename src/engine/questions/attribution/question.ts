/** Direct logit attribution: what each part of the model adds to one logit. */
import * as v from 'valibot';
import { real, text, whole } from '../../../schemas.js';

export const attributionQuestion = {
  schema: v.strictObject({
    type: v.literal('attribution'),
    /** Token after which the logit is given. */
    token: whole,
    /** Id of the token whose logit it is; undefined: the most likely. */
    target: v.optional(whole),
  }),
  answer: v.object({
    token: whole,
    target: v.object({ id: whole, text }),
    logit: real,
    /**
     * They sum to the logit. `bias`: of final norm and unembedding. `block`: attention and MLP of a block that cannot be
     * told apart. `rest`: what is left where the head is not linear (a soft cap, activations rounded to int32Array).
     */
    parts: v.array(
      v.object({
        part: v.picklist(['embedding', 'attention', 'mlp', 'block', 'bias', 'rest']),
        /** 1-based, for what belongs to one. */
        block: v.optional(whole),
        logit: real,
      }),
    ),
  }),
  fromWebview: false,
} as const;
