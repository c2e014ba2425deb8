/** Every entry of h_`layer`, or of what block `layer` adds to its scores for pairs of nodes: for graphs, which are small. */
import * as v from 'valibot';
import { float32Array, whole } from '../../../schemas.js';

export const entriesQuestion = {
  schema: v.strictObject({ type: v.literal('entries'), layer: whole, of: v.picklist(['nodes', 'edges']) }),
  answer: v.object({ values: float32Array }),
  fromWebview: false,
} as const;
