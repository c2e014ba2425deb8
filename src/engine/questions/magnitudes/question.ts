/** How large the entries of the residual stream are, over tokens × dims of one layer or layers × dims of one token. */
import * as v from 'valibot';
import { float32Array, int32Array, whole } from '../../../schemas.js';

const extent = v.pipe(whole, v.minValue(1));
const extents = v.object({ rows: extent, columns: extent });

export const magnitudesQuestion = {
  schema: v.strictObject({
    type: v.literal('magnitudes'),
    /** `tokens`: rows are the tokens of h_`at`. `layers`: rows are h_0 … h_L of token `at`. Columns are dims. */
    over: v.picklist(['tokens', 'layers']),
    at: whole,
    /** The most cells along each axis: a larger state is pooled. */
    most: v.strictObject(extents.entries),
  }),
  answer: v.pipe(
    v.object({
      rows: whole,
      columns: whole,
      /** Entries of the state in a cell along each axis; the last cell may have fewer. */
      pool: extents,
      /** Of each cell the entry of largest magnitude, with its sign, [rows, columns]; NaN where one is no number. */
      values: float32Array,
      /** Where it is: row of the state · D + dim, [rows, columns]. */
      places: int32Array,
    }),
    v.check(
      ({ rows, columns, values, places }) => values.length === rows * columns && places.length === rows * columns,
      'must have a value and a place for each cell',
    ),
  ),
  fromWebview: true,
} as const;
