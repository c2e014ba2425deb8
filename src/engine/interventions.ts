/** Changes to activations, as data, and how they are made. */
import { SinkscopeError } from '../errors.js';
import { DataType } from '../onnx/model.js';
import { float32ToFloat16 } from '../statistics/half.js';
import { floats, rowsOf, type Value } from './value.js';

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

/**
 * A copy of `value` with the interventions made, in their order; tokens beyond its end are left out.
 *
 * @throws SinkscopeError `input` for a dim that the value does not have
 */
export function intervened(value: Value, interventions: readonly Intervention[]): Value {
  const { tokens, dims } = rowsOf(value);
  const data = floats(value).slice();
  for (const { tokens: chosen, dims: chosenDims, set } of interventions) {
    const rows = chosen === 'all' ? range(tokens) : chosen.filter((token) => token < tokens);
    const columns = columnsOf(chosenDims, dims);
    const change = changeOf(set);
    for (const row of rows)
      columns.forEach((column, i) => {
        const at = row * dims + column;
        data[at] = change(data[at] as number, i);
      });
  }
  return { ...value, data: value.type === DataType.float16 ? float32ToFloat16(data) : data };
}

const range = (length: number) => Array.from({ length }, (_, i) => i);

function columnsOf(chosen: Intervention['dims'], dims: number): readonly number[] {
  if (chosen === 'all') return range(dims);
  const named = 'except' in chosen ? chosen.except : chosen;
  const outside = named.find((dim) => dim >= dims);
  if (outside !== undefined) {
    throw new SinkscopeError({
      code: 'input',
      message: `There is no dim ${outside} at this point: the model has dims 0 to ${dims - 1} there.`,
    });
  }
  if (!('except' in chosen)) return chosen;
  const kept = new Set(chosen.except);
  return range(dims).filter((dim) => !kept.has(dim));
}

/** The new value of an entry, from its old one and the place of its dim among those chosen. */
function changeOf(set: Setting): (old: number, i: number) => number {
  switch (set.to) {
    case 'zero':
      return () => 0;
    case 'value': {
      const { value } = set;
      return typeof value === 'number' ? () => value : (old, i) => value[i] ?? old;
    }
    case 'scale':
      return (old) => old * set.by;
    case 'noise': {
      const random = uniform(set.seed);
      // Box–Muller.
      return (old) => old + set.deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    }
  }
}

/** Uniform numbers in [0, 1) from a seed (Steele and Vigna's SplitMix, 32 bits). */
export function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32;
  };
}
