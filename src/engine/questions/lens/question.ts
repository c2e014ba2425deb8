/** Logit lens over all tokens: what final norm and unembedding make of h_`layer`, or of the point inside block `layer`. */
import * as v from 'valibot';
import { whole } from '../../../schemas.js';
import { prediction } from '../../contract/events.js';

export const lensQuestion = {
  schema: v.strictObject({
    type: v.literal('lens'),
    layer: whole,
    point: v.picklist(['resid_post', 'resid_mid']),
    /** How many predictions of each token. */
    top: whole,
  }),
  answer: v.object({
    /** By token, most likely first. */
    rows: v.array(v.array(prediction)),
  }),
  fromWebview: false,
} as const;
