/** The attention pattern of one head. */
import * as v from 'valibot';
import { float32Array, whole } from '../../../schemas.js';

export const patternQuestion = {
  schema: v.strictObject({
    type: v.literal('pattern'),
    /** Block k, 1-based. */
    layer: whole,
    head: whole,
  }),
  answer: v.pipe(
    v.object({
      queries: whole,
      keys: whole,
      /** [queries, keys] */
      values: float32Array,
    }),
    v.check(
      ({ queries, keys, values }) => values.length === queries * keys,
      'must have a value for each query and key',
    ),
  ),
  fromWebview: true,
} as const;
