/** Directions of the residual stream: between the means of two sets of prompts, and in files. */
import { resolve } from 'node:path';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { float16ToFloat32 } from '../../statistics/half.js';
import { openSafetensors, type SafetensorsTensor, SafetensorsWriter } from '../../statistics/safetensors.js';
import type { Progress, Setup } from '../experiment.js';
import { readTexts } from '../shared/files.js';
import { promptOf } from '../shared/prompt.js';
import { follow } from '../shared/text.js';

export interface Direction {
  /** k of the h_k that it is for. */
  readonly layer: number;
  /** [D] */
  readonly values: Float32Array;
}

export interface PromptSets {
  readonly positive: Prompts;
  readonly negative: Prompts;
  /** k of the h_k that the direction is of; undefined: the middle one. */
  readonly layer: number | undefined;
}

/** They themselves, or where they are: a file whose lines they are, or one of records. */
export type Prompts = readonly string[] | string;

/** A direction from prompts, and how many there were of either kind. */
export interface Contrast extends Direction {
  readonly positive: number;
  readonly negative: number;
}

type Running = Pick<Setup, 'memory' | 'threads'> & { readonly model: string; readonly bos: boolean | undefined };

/**
 * The mean of h_K at the last token of the positive prompts − that of the negative ones.
 *
 * @throws SinkscopeError `input` where a file has no prompt or both have the same mean, as {@link readTexts},
 *   {@link promptOf} and the run else
 */
export async function* contrastOf(
  engine: Engine,
  { positive, negative, layer: asked }: PromptSets,
  running: Running,
  signal?: AbortSignal,
): AsyncGenerator<Progress, Contrast, void> {
  const layer = asked ?? Math.ceil((await engine.inspect(running.model, signal, { takes: 'text' })).model.layers / 2);
  const sets = [await promptsIn(engine, positive), await promptsIn(engine, negative)] as const;
  const of = sets[0].length + sets[1].length;
  const more = yield* meanOf(engine, sets[0], layer, running, { before: 0, of }, signal);
  const less = yield* meanOf(engine, sets[1], layer, running, { before: sets[0].length, of }, signal);
  const values = Float32Array.from(more, (value, dim) => value - (less[dim] ?? Number.NaN));
  if (values.every((value) => value === 0)) {
    throw new SinkscopeError({
      code: 'input',
      message: `The positive and the negative prompts have the same mean state at the last token of h_${layer}, so there is no direction between them; choose other prompts or a later layer.`,
    });
  }
  return { layer, values, positive: sets[0].length, negative: sets[1].length };
}

/** Of a file, its lines that are not empty; of a file of records, their texts. */
async function promptsIn(engine: Engine, path: Prompts): Promise<readonly string[]> {
  if (typeof path !== 'string') return path;
  const prompts: string[] = [];
  for await (const { text, file } of readTexts([path], engine)) {
    if (file === undefined) prompts.push(text);
    else for (const line of text.split(/\r\n?|\n/)) if (line.trim() !== '') prompts.push(line);
  }
  if (prompts.length > 0) return prompts;
  const file = resolve(path);
  throw new SinkscopeError({ code: 'input', file, message: `${file} has no prompt: write one on each line.` });
}

/** The mean [D] at the last token; prompts of one length are run together. */
async function* meanOf(
  engine: Engine,
  prompts: readonly string[],
  layer: number,
  { model, bos, memory, threads }: Running,
  { before, of }: { readonly before: number; readonly of: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, Float64Array, void> {
  const byLength = new Map<number, (readonly number[])[]>();
  for (const prompt of prompts) {
    const { ids } = await promptOf(engine, model, prompt, { bos, called: 'A prompt' }, signal);
    byLength.set(ids.length, [...(byLength.get(ids.length) ?? []), ids]);
  }
  const places = [{ point: 'resid_post', block: layer } as const];
  let sums: Float64Array | undefined;
  let done = before;
  for (const [length, sequences] of byLength) {
    const request = { model, places, mean: { rows: [length - 1] }, memory, threads };
    const events = engine.run('states', { ...request, sequences: sequences.map((ids) => [...ids]) }, signal);
    for await (const event of follow(events)) {
      if (event.type === 'states') yield { phase: 'averaging', done: ++done, of };
      if (event.type !== 'mean') continue;
      const [row = new Float32Array(0)] = event.rows;
      sums ??= new Float64Array(row.length);
      for (const [dim, value] of row.entries()) sums[dim] = (sums[dim] ?? 0) + value * sequences.length;
    }
  }
  return (sums ?? new Float64Array(0)).map((sum) => sum / prompts.length);
}

/** `direction.K`, as it is written; other names do not say the layer. */
const nameOf = (layer: number) => `direction.${layer}`;
const layerIn = (name: string): number | undefined => {
  const [, digits] = /^direction\.(\d{1,9})$/.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
};

/**
 * The direction of a file: `direction.K`, which is for h_K, or its only tensor for the layer that is given.
 *
 * @throws SinkscopeError `file` as {@link openSafetensors}; `input` where several could be meant, the layer is not told,
 *   or the tensor is no direction
 */
export async function readDirection(path: string, layer: number | undefined): Promise<Direction> {
  const file = resolve(path);
  const refused = (message: string) => new SinkscopeError({ code: 'input', file, message });
  const tensors = await openSafetensors(file);
  const [only, ...others] = tensors.names;
  const asked = layer === undefined ? undefined : nameOf(layer);
  const name = asked !== undefined && tensors.names.includes(asked) ? asked : only;
  if (name === undefined) throw refused(`${file} has no tensor; a direction is a tensor of one axis.`);
  if (name !== asked && others.length > 0) {
    throw refused(
      `${file} has ${tensors.names.length} tensors and none of them is ${asked ?? 'chosen by --layer'}; give the layer K of one that is called direction.K, or a file with one tensor.`,
    );
  }
  const at = layer ?? layerIn(name);
  if (at === undefined) {
    throw refused(
      `${file} does not say which layer its tensor is for (one called direction.4 is for h_4); give --layer.`,
    );
  }
  const tensor = await tensors.tensor(name);
  const values = floatsOf(tensor);
  const isVector = tensor.shape.filter((extent) => extent !== 1).length <= 1;
  if (!values || !isVector || values.length === 0) {
    const is = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
    throw refused(`The tensor of ${file} is ${is}; a direction is a vector of floating-point numbers [D].`);
  }
  if (!values.every(Number.isFinite)) throw refused(`The direction of ${file} has entries that are no finite numbers.`);
  if (values.every((value) => value === 0)) throw refused(`The direction of ${file} is 0 everywhere.`);
  return { layer: at, values };
}

/** Undefined for what are no floating-point numbers. */
function floatsOf({ dtype, bytes }: SafetensorsTensor): Float32Array | undefined {
  switch (dtype) {
    case 'F32':
      return new Float32Array(bytes.buffer);
    case 'F64':
      return Float32Array.from(new Float64Array(bytes.buffer));
    case 'F16':
      return float16ToFloat32(new Uint16Array(bytes.buffer));
    case 'BF16':
      return new Float32Array(Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half << 16).buffer);
    default:
      return undefined;
  }
}

/** @throws SinkscopeError `save` where it cannot be written */
export async function writeDirection(path: string, { layer, values }: Direction): Promise<void> {
  const writer = await SafetensorsWriter.create(resolve(path), [nameOf(layer)]);
  await writer.append(nameOf(layer), [values.length], values);
  await writer.finish();
}
