/** Changes to activations, as data. */

/** TransformerLens' names; `mlp` is the MLP intermediate state, `attn_out` what attention adds to the residual. */
export const points = ['attn_out', 'resid_mid', 'mlp', 'resid_post'] as const;
export type Point = (typeof points)[number];

/** Entries of one activation [T, D] of a block, and what they are set to. */
export interface Intervention {
  readonly point: Point;
  /** Block k, 1-based: its `resid_post` is h_k. With `resid_post`, 0 is the embedding h_0. */
  readonly block: number;
  readonly tokens: 'all' | readonly number[];
  readonly dims: 'all' | readonly number[] | { readonly except: readonly number[] };
  readonly set: Setting;
}

export type Setting =
  | { readonly to: 'zero' }
  /** One value for all entries, or one for each of `dims`. */
  | { readonly to: 'value'; readonly value: number | readonly number[] }
  | { readonly to: 'scale'; readonly by: number }
  /** Adds normal noise of this standard deviation; the same seed gives the same noise. */
  | { readonly to: 'noise'; readonly deviation: number; readonly seed: number };

/** Why activations, which are float32, cannot be set so, in words; undefined where they can. */
export function settingProblem(set: Setting): string | undefined {
  const beyond = numbersOf(set).find((number) => !Number.isFinite(Math.fround(number)));
  if (beyond !== undefined) return `activations are float32, up to ±3.4e38, and ${beyond} is beyond that`;
  if (set.to === 'noise' && set.deviation < 0)
    return `the deviation of noise is a number from 0 on, not ${set.deviation}`;
  return undefined;
}

function numbersOf(set: Setting): readonly number[] {
  switch (set.to) {
    case 'zero':
      return [];
    case 'value':
      return typeof set.value === 'number' ? [set.value] : set.value;
    case 'scale':
      return [set.by];
    case 'noise':
      return [set.deviation];
  }
}
