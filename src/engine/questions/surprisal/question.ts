/** How surprising each token of the run is, given those before it. */
import * as v from 'valibot';
import { float32Array } from '../../../schemas.js';

export const surprisalQuestion = {
  schema: v.strictObject({ type: v.literal('surprisal') }),
  answer: v.object({
    /** −ln p of each token in nats, [T]; NaN for the first, which nothing comes before. */
    nats: float32Array,
  }),
  fromWebview: true,
} as const;
