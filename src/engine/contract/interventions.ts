/** Changes to activations, as data. */
import * as v from 'valibot';
import { float32Array, type Sent, whole } from '../../schemas.js';

/**
 * TransformerLens' names, in the order in which a block computes them: `z` is what the heads give side by side, which the
 * output projection reads, `mlp` the MLP intermediate state, `attn_out` and `mlp_out` what is added to the residual.
 */
export const points = ['z', 'attn_out', 'resid_mid', 'mlp', 'mlp_out', 'resid_post'] as const;
export type Point = (typeof points)[number];
export const point = v.picklist(points);

/** Whether the dims of a point are those of the residual stream. */
export const isOfStream = (point: Point): boolean => point !== 'z' && point !== 'mlp';

const setting = v.variant('to', [
  v.object({ to: v.literal('zero') }),
  v.object({
    to: v.literal('value'),
    /** One value for all entries, or one for each of `dims`. */
    value: v.union([v.number(), v.array(v.number()), float32Array]),
  }),
  /** Adds a direction to every token: an entry for each of `dims`. */
  v.object({ to: v.literal('add'), direction: float32Array }),
  /** Leaves of every token x what is at right angles to a direction: x − (x·u) u with u = direction ÷ ‖direction‖. */
  v.object({ to: v.literal('project-out'), direction: float32Array }),
  v.object({ to: v.literal('scale'), by: v.number() }),
  /** Adds normal noise of this standard deviation; the same seed gives the same noise. */
  v.object({ to: v.literal('noise'), deviation: v.number(), seed: v.pipe(v.number(), v.integer()) }),
]);
export type Setting = Sent<typeof setting>;

const chosen = v.union([v.literal('all'), v.array(whole)]);
const place = {
  point,
  /** Block k, 1-based: its `resid_post` is h_k. With `resid_post`, 0 is the embedding h_0. */
  block: whole,
};
export const entries = v.object({ ...place, tokens: chosen, dims: chosen });
/** Entries of one activation [T, D] of a block. */
export type Entries = Sent<typeof entries>;

export const intervention = v.object({
  ...place,
  tokens: chosen,
  dims: v.union([chosen, v.object({ except: v.array(whole) })]),
  set: v.pipe(
    setting,
    v.check(
      (set) => settingProblem(set) === undefined,
      ({ input }) => `cannot be made: ${settingProblem(input)}`,
    ),
  ),
});
/** Entries of one activation [T, D] of a block, and what they are set to. */
export type Intervention = Sent<typeof intervention>;

/** Why activations, which are float32, cannot be set so, in words; undefined where they can. */
export function settingProblem(set: Setting): string | undefined {
  const beyond = Array.from(numbersOf(set)).find((number) => !Number.isFinite(Math.fround(number)));
  if (beyond !== undefined) return `activations are float32, up to ±3.4e38, and ${beyond} is beyond that`;
  if (set.to === 'noise' && set.deviation < 0)
    return `the deviation of noise is a number from 0 on, not ${set.deviation}`;
  if (set.to === 'project-out' && set.direction.every((entry) => entry === 0))
    return 'a direction that is 0 everywhere cannot be projected out';
  return undefined;
}

function numbersOf(set: Setting): ArrayLike<number> {
  switch (set.to) {
    case 'zero':
      return [];
    case 'value':
      return typeof set.value === 'number' ? [set.value] : set.value;
    case 'add':
    case 'project-out':
      return set.direction;
    case 'scale':
      return [set.by];
    case 'noise':
      return [set.deviation];
  }
}
