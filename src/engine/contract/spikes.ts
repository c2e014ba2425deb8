/** The largest entries around the last products of MLPs, and the scalars between them: what is asked and what is said. */
import * as v from 'valibot';
import { real, type Sent, text, whole } from '../../schemas.js';
import { memory, path, stream, threads, weightScalar } from './request.js';

export const spikesRequest = v.object({
  model: path,
  stream,
  /** Token ids, prefix included. */
  ids: v.pipe(v.array(whole), v.minLength(1)),
  /** Scalars that are 0 in this run. */
  without: v.array(weightScalar),
  memory,
  threads,
});
export type SpikesRequest = Sent<typeof spikesRequest>;

const spike = v.object({ value: real, token: whole, dim: whole, /** Lower median of the magnitudes. */ median: real });

export const spikesEvent = v.object({
  type: v.literal('spikes'),
  block: v.pipe(whole, v.minValue(1)),
  /** The product's node and its weight, as in the file. */
  node: text,
  stored: text,
  /** The largest entries of what the product reads and of what it gives. */
  input: spike,
  output: spike,
  /** What it multiplies the one by for the other: W[output.dim, input.dim], of the [out, in] matrix. */
  weight: real,
});
/** Of a block whose MLP ends in one plain product. */
export type SpikesEvent = Sent<typeof spikesEvent>;
