/** What requests are made of. */
import * as v from 'valibot';
import { type Sent, text, whole } from '../../schemas.js';

/** Path of a file. */
export const path = v.pipe(v.string(), v.nonEmpty('is empty'));
/** Name of one of a model's residual streams; undefined: the one that what is run fits. */
export const stream = v.optional(v.string());
/** How line ends of texts are read; undefined: as LF. */
export const lineEnds = v.optional(v.picklist(['lf', 'as-is']));
/** The text is the user's turn of a chat, after the system's where there is one; undefined: it stands alone. */
export const chat = v.optional(v.strictObject({ system: v.optional(text) }));
/** A chat as results say it; `system`: the text came after a system's. */
export const chatSaid = (asked: Sent<typeof chat>): 'off' | 'on' | 'system' =>
  asked === undefined ? 'off' : asked.system === undefined ? 'on' : 'system';
/** Bytes that may be held, beside the blocks being run. */
export const memory = v.pipe(v.number(), v.minValue(1));
/** 0: as ONNX Runtime chooses. */
export const threads = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1024));

export const weightScalar = v.object({ block: v.pipe(whole, v.minValue(1)), row: whole, column: whole });
/** A scalar of the last weight of a block's MLP, [row, column] of the [out, in] matrix. */
export type WeightScalar = Sent<typeof weightScalar>;

export const attentionWindow = v.object({ window: v.pipe(whole, v.minValue(1)), sinks: whole });
/** What a query sees of what the model lets it see: `window` keys in all, its own included, `sinks` of them the first. */
export type AttentionWindow = Sent<typeof attentionWindow>;
