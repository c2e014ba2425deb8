/** The attention pattern of one head. */
import * as v from 'valibot';
import { flag, float32Array, whole } from '../../../schemas.js';

export const patternQuestion = {
  schema: v.strictObject({
    type: v.literal('pattern'),
    /** Block k, 1-based. */
    layer: whole,
    head: whole,
    /** Of its attention to other states, as to an encoder's, in place of that to the stream's own tokens. */
    cross: v.optional(flag),
  }),
  answer: v.pipe(
    v.object({
      queries: whole,
      keys: whole,
      /** [queries, keys]; of attention to other states keys are the positions of those. */
      values: float32Array,
    }),
    v.check(
      ({ queries, keys, values }) => values.length === queries * keys,
      'must have a value for each query and key',
    ),
  ),
  fromWebview: true,
} as const;
