/** Attention mass that windows leave out. */
import * as v from 'valibot';
import { real, whole } from '../../../schemas.js';
import { attentionWindow } from '../../contract/request.js';

export const evictedQuestion = {
  schema: v.strictObject({ type: v.literal('evicted'), layer: whole, windows: v.array(attentionWindow) }),
  answer: v.object({
    /** By window and head. */
    shares: v.array(v.array(real)),
  }),
  fromWebview: false,
} as const;
