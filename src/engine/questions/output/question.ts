/** What the model gives for the whole input: pooled or not, before any softmax. */
import * as v from 'valibot';
import { float32Array, whole } from '../../../schemas.js';

export const outputQuestion = {
  schema: v.strictObject({ type: v.literal('output') }),
  answer: v.pipe(
    v.object({ shape: v.array(whole), values: float32Array }),
    v.check(
      ({ shape, values }) => values.length === shape.reduce((size, extent) => size * extent, 1),
      'must have as many values as its shape says',
    ),
  ),
  fromWebview: false,
} as const;
