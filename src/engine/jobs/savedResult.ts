/**
 * The file of a saved result. Any file may be called one: the form and every extent is checked, so that what is shown of it
 * costs no more than what a run shows.
 */
import { stat } from 'node:fs/promises';
import * as v from 'valibot';
import { SinkscopeError } from '../../errors.js';
import { readUtf8 } from '../../reading.js';
import { roles } from '../../tokens/token.js';
import { device as devices, providers } from '../contract/device.js';
import { fedInput } from '../contract/inputs.js';

/** Bytes of the file; cells of a picture of layers × tokens, and of layers × experts. */
const most = { bytes: 128 * 2 ** 20, layers: 4096, cells: 2 ** 25, experts: 2 ** 22 };

const whole = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 48));
const maybe = <S extends v.GenericSchema>(schema: S) => v.nullish(schema);
/** NaN for what is no finite number, which JSON has as null. */
const real = v.pipe(
  v.nullable(v.number()),
  v.transform((value) => value ?? Number.NaN),
);
const isNumbers = (value: unknown): value is (number | null)[] =>
  Array.isArray(value) && value.every((one) => one === null || typeof one === 'number');
const numbers = v.custom<(number | null)[]>(isNumbers, 'must be a list of numbers');
const floats = v.pipe(
  numbers,
  v.transform((list) => Float32Array.from(list, (one) => one ?? Number.NaN)),
);
const integers = v.pipe(
  numbers,
  v.transform((list) => Int32Array.from(list, (one) => one ?? 0)),
);

const saved = v.object({
  sinkscope: v.literal(1),
  model: v.object({
    file: v.string(),
    name: v.string(),
    stream: v.optional(v.string(), ''),
    streams: v.optional(v.array(v.string()), () => []),
    layers: v.pipe(whole, v.maxValue(most.layers)),
    hidden: whole,
    heads: maybe(whole),
    kv_heads: maybe(whole),
    context: maybe(whole),
    vocabulary: maybe(whole),
    parallel_block: v.boolean(),
    bytes: v.number(),
    missing: v.array(v.string()),
    remarks: v.array(v.string()),
  }),
  settings: v.object({
    bos: maybe(v.boolean()),
    line_ends: maybe(v.picklist(['lf', 'as-is'])),
    chat: maybe(v.picklist(['off', 'on', 'system'])),
    threads: v.pipe(whole, v.maxValue(1024)),
  }),
  device: v.optional(
    v.object({ asked: devices, provider: v.picklist(providers), said: v.array(v.string()) }),
    () => undefined,
  ),
  inputs: v.optional(v.array(fedInput), () => []),
  thresholds: v.object({
    absolute: v.number(),
    ratio: v.number(),
    soft: v.number(),
    epsilon: v.number(),
    min_queries: v.number(),
    min_share: v.number(),
  }),
  source: v.picklist(['text', 'ids', 'feeds', 'features', 'image']),
  window: v.object({ start: whole, end: whole, total: maybe(whole) }),
  picture: maybe(
    v.object({ file: v.string(), width: whole, height: whole, prepared: v.optional(v.array(v.string())) }),
  ),
  tokens: v.array(
    v.object({
      id: v.number(),
      text: v.string(),
      start: whole,
      end: whole,
      special: v.boolean(),
      role: v.optional(v.picklist(roles)),
      region: v.optional(v.object({ x: real, y: real, width: real, height: real })),
    }),
  ),
  layers: v.array(
    v.object({
      top: v.pipe(v.array(v.object({ value: real, token: whole, dim: whole })), v.maxLength(1024)),
      median: real,
      token_norm: floats,
      token_max: floats,
      token_max_dim: integers,
      dim_max: floats,
      non_finite: whole,
    }),
  ),
  /** Found again, but for what each expert of a token made of an entry. */
  massive_activations: v.optional(
    v.array(
      v.object({
        token: whole,
        dim: whole,
        onset: whole,
        experts: v.nullish(v.array(v.object({ made: v.nullish(v.number()) }))),
      }),
    ),
    () => [],
  ),
  sinks: v.object({
    alpha: v.array(v.nullable(v.array(floats))),
    causal: v.array(v.nullable(v.boolean())),
    extra: v.array(v.nullable(v.object({ side: v.picklist(['first', 'last']), columns: whole, alpha: floats }))),
  }),
  cross_attention: v.optional(
    v.array(v.object({ layer: whole, positions: v.pipe(whole, v.maxValue(2 ** 20)), alpha: v.array(floats) })),
    () => [],
  ),
  routing: v.optional(
    v.array(
      v.nullable(
        v.union([
          v.object({
            experts: v.pipe(whole, v.maxValue(65_536)),
            chosen: v.pipe(whole, v.maxValue(65_536)),
            indices: v.array(integers),
            weights: v.array(floats),
            multiplies: v.picklist(['outputs', 'inputs']),
            scores: v.nullable(v.object({ kind: v.picklist(['softmax', 'sigmoid']), values: v.array(floats) })),
            largest: v.nullable(v.array(floats)),
          }),
          v.object({ why: v.string() }),
        ]),
      ),
    ),
    () => [],
  ),
  predictions: maybe(
    v.object({ token: whole, top: v.array(v.object({ id: whole, text: v.string(), probability: real })) }),
  ),
  outputs: maybe(
    v.array(
      v.object({
        name: v.string(),
        shape: v.array(whole),
        kind: v.picklist(['classes', 'score', 'places', 'embedding', 'values']),
        how: v.string(),
        rows: v.array(
          v.object({
            token: maybe(whole),
            norm: real,
            top: v.array(
              v.object({ index: whole, label: v.string(), value: real, probability: v.nullish(v.number()) }),
            ),
          }),
        ),
      }),
    ),
  ),
  seconds: maybe(v.number()),
  first_layer_seconds: maybe(v.number()),
  saved: maybe(v.string()),
});
/** A result as its file has it. */
export type Saved = v.InferOutput<typeof saved>;

/**
 * @throws SinkscopeError `file` where it cannot be read or is too large; `input` where it is no result, or contradicts
 *   itself
 */
export async function readSaved(file: string): Promise<Saved> {
  return parsed(await textOf(file), file);
}

async function textOf(file: string): Promise<string> {
  const status = await stat(file).catch(() => undefined);
  // A pipe or a device has no end that is known.
  if (status && !status.isFile()) throw notOne(file, 'it is no plain file');
  return readUtf8(file, most.bytes);
}

function parsed(text: string, file: string): Saved {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw notOne(file, 'it is not JSON');
  }
  const version = v.safeParse(v.object({ sinkscope: v.number() }), json);
  if (version.success && version.output.sinkscope !== 1)
    throw notOne(file, `it has version ${version.output.sinkscope}, and this program reads version 1`);
  // The first thing that is wrong will do: a file can be wrong in a million places.
  const read = v.safeParse(saved, json, { abortEarly: true });
  if (!read.success) {
    const where = v.getDotPath(read.issues[0]);
    throw notOne(file, `${where ?? 'all of it'} is missing or wrong`);
  }
  const wrong = contradiction(read.output);
  if (wrong !== undefined) throw notOne(file, wrong);
  return read.output;
}

function notOne(file: string, why: string): SinkscopeError {
  const message = `${file} is no result of an analysis (${why}); open one that Sinkscope has saved.`;
  return new SinkscopeError({ code: 'input', file, message });
}

/** Where parts do not belong together, or would be shown as more than they are, in a clause. */
function contradiction({ model, tokens, layers, sinks, cross_attention, routing, predictions, seconds }: Saved) {
  const T = tokens.length;
  const L = model.layers;
  if (T === 0) return 'it has no tokens';
  if ((L + 1) * T > most.cells) return 'it has more layers and tokens than are shown';
  if (layers.length > L + 1 || (typeof seconds === 'number' && layers.length !== L + 1))
    return `it has ${layers.length} hidden states for ${L} layers`;
  for (const [k, one] of layers.entries()) {
    const isWhole = [one.token_norm, one.token_max, one.token_max_dim].every(({ length }) => length === T);
    if (!isWhole || one.dim_max.length !== model.hidden) return `layers.${k} has other tokens or dims than the rest`;
    if (one.top.some(({ token, dim }) => token >= T || dim >= model.hidden))
      return `layers.${k}.top has an entry that is not in it`;
  }
  const { alpha, extra } = sinks;
  if (Math.max(alpha.length, extra.length, routing.length) > L) return 'it has more blocks than layers';
  for (const [i, heads] of alpha.entries()) {
    const beside = extra[i];
    const isWhole = !heads || (heads.length > 0 && heads.every(({ length }) => length === T));
    if (!isWhole || (beside && beside.alpha.length !== heads?.length))
      return `sinks.alpha.${i} has other heads or tokens than the rest`;
  }
  for (const { layer, positions, alpha } of cross_attention)
    if (layer < 1 || layer > L || alpha.some(({ length }) => length !== positions))
      return 'cross_attention has other extents';
  for (const [i, found] of routing.entries()) {
    if (!found || 'why' in found) continue;
    const { experts, chosen, indices, weights, scores, largest } = found;
    const rows = [indices, weights, ...(largest ? [largest] : [])];
    const isWhole =
      rows.every((lists) => lists.length === T && lists.every(({ length }) => length === chosen)) &&
      (!scores || (scores.values.length === T && scores.values.every(({ length }) => length === experts))) &&
      indices.every((list) => list.every((index) => index >= 0 && index < experts));
    if (!isWhole || experts * L > most.experts) return `routing.${i} has other experts or tokens than it says`;
  }
  return predictions && predictions.token >= T ? 'it predicts after a token that is not there' : undefined;
}
