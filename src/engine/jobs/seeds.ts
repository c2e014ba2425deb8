/** What a derivative begins with: a number of a run, and what it changes by with the tensor that it is computed from. */
import { SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { noId } from '../inputs/rows.js';
import { floats, rowsOf, size, type Value } from '../tensors/value.js';

export interface Seed {
  /** Name of the tensor. */
  readonly value: string;
  readonly adjoint: Value;
  /** The number itself. */
  readonly of: number;
  readonly scored?: number;
}

const like = ({ dims }: Value, data: Float32Array): Value => ({ type: DataType.float, dims, data });

/** Half the slope of a sum of squares is what is squared. */
export function squaresSeed(value: string, tensor: Value): Seed {
  const values = floats(tensor);
  let sum = 0;
  for (const one of values) sum += one * one;
  return {
    value,
    adjoint: like(
      tensor,
      values.map((one) => 2 * one),
    ),
    of: sum,
  };
}

/** Where a single entry is. */
export interface Place {
  readonly token: number;
  readonly dim: number;
  /** The token that the tensor's first row is of, and how many it has rows for. */
  readonly first: number;
  readonly tokens: number;
  /** The axis that counts tokens, where it is not all but the last. */
  readonly axis: number | undefined;
}

/** @throws SinkscopeError `input` where there is no such entry */
export function oneSeed(value: string, tensor: Value, { token, dim, first, tokens, axis }: Place): Seed {
  const last = tensor.dims.length - 1;
  const feature = axis === undefined ? last : axis === last ? last - 1 : last;
  const width = axis === undefined ? rowsOf(tensor).dims : (tensor.dims[feature] ?? 1);
  const row = token - first;
  const fail = (message: string) => new SinkscopeError({ code: 'input', message });
  if (row < 0 || row >= tokens)
    throw fail(
      `There is no token ${token} here: ${tokens === 0 ? 'there are none' : `they are ${first} to ${first + tokens - 1}`}.`,
    );
  if (dim >= width) throw fail(`There is no entry ${dim}: there are ${width} for each token, 0 to ${width - 1}.`);
  const step = (place: number) => size(tensor.dims.slice(place + 1));
  const at = axis === undefined ? row * width + dim : row * step(axis) + dim * step(feature);
  const data = new Float32Array(tensor.data.length);
  data[at] = 1;
  return { value, adjoint: like(tensor, data), of: floats(tensor)[at] ?? Number.NaN };
}

/**
 * The mean of −ln p of tokens, each predicted by what comes before it.
 *
 * @param ids of all rows; −1 for one that is no token
 * @param skipped tokens at the beginning that are not scored, rows that are none not counted
 * @param from the row of the first logits
 * @throws SinkscopeError `input` where nothing is scored, or there are no logits for what is
 */
export function lossSeed(value: string, logits: Value, ids: readonly number[], skipped: number, from: number): Seed {
  const { tokens: rows, dims: width } = rowsOf(logits);
  const scored = [...ids.keys()].filter((token) => ids[token] !== noId).slice(skipped);
  if (scored.length === 0) {
    throw new SinkscopeError({
      code: 'input',
      message: 'There is no token whose prediction could be scored: give a text of at least two tokens.',
    });
  }
  if (scored.some((token) => token - 1 < from || token - 1 >= from + rows)) {
    throw new SinkscopeError({
      code: 'input',
      message: `This model gives logits for ${rows === 1 ? 'its last token' : `${rows} of its rows`} only, so there is no loss over the text; ask for a logit after the last token (--of logit:ID@TOKEN).`,
    });
  }
  const values = floats(logits);
  const data = new Float32Array(values.length);
  let sum = 0;
  for (const token of scored) {
    const row = token - 1 - from;
    const own = values.subarray(row * width, (row + 1) * width);
    let most = Number.NEGATIVE_INFINITY;
    for (const logit of own) if (!(logit <= most)) most = logit;
    let total = 0;
    for (const logit of own) total += Math.exp(logit - most);
    const id = ids[token] ?? 0;
    sum += Math.log(total) + most - (own[id] ?? Number.NaN);
    for (let i = 0; i < width; i++) {
      const slope = Math.exp((own[i] ?? Number.NaN) - most) / total - (i === id ? 1 : 0);
      data[row * width + i] = slope / scored.length;
    }
  }
  return { value, adjoint: like(logits, data), of: sum / scored.length, scored: scored.length };
}
