/** What adds up to one entry of the residual stream: every block's attention and MLP, and the weights that do it. */
import * as v from 'valibot';
import { float32Array, real, text, whole } from '../../../schemas.js';

const made = v.object({
  /** The initializer of the last product's weight, as the file names it. */
  weight: text,
  /** The largest |read · weight|, largest first: of the entry of what is read with this index. */
  entries: v.array(v.object({ column: whole, read: real, value: real })),
  /** What the part adds beside all such products: a bias, and what comes after the product. */
  rest: real,
});

const part = v.object({
  /** `block`: attention and MLP of a block that cannot be told apart. */
  part: v.picklist(['attention', 'mlp', 'block']),
  /** 1-based. */
  block: whole,
  added: real,
  /** Undefined where the part does not end in one product with a matrix of floats. */
  made: v.optional(made),
});

export const contributionsQuestion = {
  schema: v.strictObject({ type: v.literal('contributions'), token: whole, dim: whole }),
  answer: v.object({
    /** The entry of h_0 … h_L. */
    hidden: float32Array,
    /** In the order in which they are added. */
    parts: v.array(part),
  }),
  fromWebview: false,
} as const;
