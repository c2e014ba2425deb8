/** Where a run's tokens are in its tensors: told by what it was fed or, where that is something else than tokens, by h_0. */
import { SinkscopeError } from '../../errors.js';
import {
  cropPattern,
  firstQueries,
  noneUnfilled,
  type Pattern,
  patternOf,
  type Unfilled,
  withoutUnfilled,
} from './patterns.js';
import { rowsOf, size, type Value } from './value.js';

export interface Layout {
  /** T: the tokens that count. */
  readonly tokens: number;
  /** Positions that are run: more than T where the file takes only one length. */
  readonly positions: number;
  /** The axis of hidden states that counts tokens, where the user says which; see {@link tokenRows}. */
  readonly axis: number | undefined;
  /** Places of a cache among the keys that nothing fills. */
  readonly unfilled: Unfilled;
}

/**
 * @param h0 h_0
 * @param known what the run's input says already
 * @throws SinkscopeError `input` with `axes` where h_0 is [B, T, D] or [T, B, D] and no axis is given, or no such axis is there
 */
export function layoutOf(h0: Value, { tokens, positions, axis, unfilled = noneUnfilled }: Partial<Layout>): Layout {
  checkAxis(h0, axis);
  const rows = rowsOf(tokenRows(h0, axis)).tokens;
  return { tokens: tokens ?? rows, positions: positions ?? rows, axis, unfilled };
}

/**
 * A block's attention pattern over the tokens that count.
 *
 * @param file path of the model
 * @throws SinkscopeError `input` where the padding is seen by what comes before it
 */
export function tokenPattern(value: Value, { tokens, positions, axis, unfilled }: Layout, file: string): Pattern {
  const pattern = withoutUnfilled(patternOf(axis === undefined ? value : firstPattern(value)), unfilled);
  return positions > tokens ? cropPattern(pattern, tokens, file) : pattern;
}

/** Why a block's pattern is none over the tokens that count, in words; undefined where it is. */
export function outsideTokens(value: Value, { queries, keys }: Pattern, { tokens }: Layout): string | undefined {
  const shape = `[${value.dims.join(', ')}]`;
  if (queries > tokens)
    return `its rows, ${shape}, are more than the ${tokens} tokens: others attend together with them`;
  if (queries < tokens)
    return `its rows and columns, ${shape}, are places in a part of the sequence (a window, a frame, or what is pooled of it) and not its ${tokens} tokens`;
  return keys < tokens ? `its columns, ${shape}, are ${keys} keys that are made of the ${tokens} tokens` : undefined;
}

/** A block's pattern of attention to other states, of the tokens that count: all positions of those states are keys. */
export function crossPattern(value: Value, { tokens, axis }: Layout): Pattern {
  const pattern = patternOf(axis === undefined ? value : firstPattern(value));
  return pattern.queries > tokens ? firstQueries(pattern, tokens) : pattern;
}

function checkAxis({ dims }: Value, axis: number | undefined): void {
  const several = dims.length === 3 && dims.slice(0, 2).every((extent) => extent > 1);
  if (axis === undefined && several) throw unclear(dims, 'which axis counts tokens is not clear');
  if (axis !== undefined && axis >= dims.length) throw unclear(dims, `there is no axis ${axis}`);
}

/**
 * A hidden state as it is, all its axes but the last counting tokens together; or with an `axis`, which counts them
 * alone, [T, D]: D is the last of the others, and of the rest the first entry is taken.
 */
export function tokenRows(state: Value, axis: number | undefined): Value {
  const { dims, data } = state;
  const last = dims.length - 1;
  if (axis === undefined || last < 1) return state;
  const feature = axis === last ? last - 1 : last;
  const step = (place: number) => size(dims.slice(place + 1));
  const [tokens, width] = [dims[axis] ?? 0, dims[feature] ?? 0];
  const rows = data.slice(0, tokens * width);
  for (let token = 0; token < tokens; token++) {
    for (let dim = 0; dim < width; dim++) {
      const element = data[token * step(axis) + dim * step(feature)];
      if (element !== undefined) rows[token * width + dim] = element;
    }
  }
  return { ...state, dims: [tokens, width], data: rows };
}

/** The first of the copies of a stream, [copies, 1, T, D]: [1, T, D]; where they are values of their own, what is given. */
export function firstCopy(state: Value): Value {
  if (state.dims.length < 4) return state;
  const dims = state.dims.slice(1);
  return { ...state, dims, data: state.data.subarray(0, size(dims)) };
}

/** Of patterns of several examples, [B, heads, queries, keys], those of the first. */
function firstPattern(pattern: Value): Value {
  const dims = pattern.dims.slice(-3);
  return { ...pattern, dims, data: pattern.data.subarray(0, size(dims)) };
}

function unclear(dims: readonly number[], why: string): SinkscopeError {
  return new SinkscopeError({
    code: 'input',
    message: `The residual stream is [${dims.join(', ')}] and ${why}: choose the axis of the tokens (--token-axis), or give one example alone.`,
    axes: dims,
  });
}
