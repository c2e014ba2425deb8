/** A smoothed model as a file: what is asked; there is nothing to be said but that it is done. */
import * as v from 'valibot';
import type { Sent } from '../../schemas.js';
import { smoothing } from './extents.js';
import { memory, path, threads } from './request.js';

export const smoothRequest = v.object({
  model: path,
  smooth: smoothing,
  /** Where it is written, with its weights in a file of that name and `.data` beside it. */
  save: v.object({ file: path }),
  memory,
  threads,
});
export type SmoothRequest = Sent<typeof smoothRequest>;
