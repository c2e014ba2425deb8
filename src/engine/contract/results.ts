/** Results of analyses as they are saved (`analyze --json`, *Save Result*), and how one is told: as the run that it is of. */
import * as v from 'valibot';
import { maybe, type Sent, text } from '../../schemas.js';
import { finishedEvent } from './events.js';
import { path } from './request.js';

export const resultRequest = v.object({ file: path });

/** What counts as massive and as a sink. */
export const thresholdsSchema = v.object({
  absolute: v.number(),
  ratio: v.number(),
  soft: v.number(),
  epsilon: v.number(),
  minQueries: v.number(),
  minShare: v.number(),
});

export const resultAnswer = v.object({
  type: v.literal('result'),
  /** As they were where it was saved. */
  thresholds: thresholdsSchema,
  /** Undefined where the run had not ended when it was saved. */
  finished: maybe(finishedEvent),
  /** Name of the safetensors beside it that answers `savedQuestion`; undefined: there is none. */
  tensors: maybe(text),
});
export type ResultAnswer = Sent<typeof resultAnswer>;
