/**
 * What the tensors beside a saved result answer, where neither model nor text is there. Both files may be anybody's: every
 * tensor is held against the result before anything of it is told, so that the numbers shown are those of that run.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SinkscopeError } from '../../errors.js';
import { stampOf } from '../../models/version.js';
import { pooled } from '../../statistics/pooled.js';
import { openSafetensors, type SafetensorsFile } from '../../statistics/safetensors.js';
import type { AnswerTo, SavedQuestion } from '../contract/questions.js';
import { checkIndex } from '../questions/inside.js';
import { readSaved, type Saved } from './savedResult.js';

/** Entries that are read at once. */
const mostElements = 2 ** 27;

/**
 * Name of the safetensors that belong to a result: those that it says were saved with it, or those of its own name.
 *
 * @param saved what the result says, a path of whatever machine
 */
export async function tensorsBeside(result: string, saved: string | undefined): Promise<string | undefined> {
  const own = basename(result).replace(/\.json$/i, '');
  const names = [`${own}.safetensors`, `${own.replace(/\.sinkscope$/i, '')}.safetensors`];
  const named = basename((saved ?? '').replaceAll('\\', '/'));
  if (/\.safetensors$/i.test(named)) names.unshift(named);
  for (const name of names) {
    const status = await stat(join(dirname(result), name)).catch(() => undefined);
    if (status?.isFile()) return name;
  }
  return undefined;
}

/** @throws SinkscopeError `input` where there are none, they are of another run or lack what is asked for */
export async function answerFromTensors(
  file: string,
  question: SavedQuestion,
): Promise<AnswerTo<SavedQuestion['type']>> {
  const beside = last?.file === file && last.stamps === stampsOf(file, last.path) ? last : await readBeside(file);
  return question.type === 'pattern' ? pattern(beside, question) : magnitudes(beside, question);
}

interface Beside {
  readonly file: string;
  readonly result: Saved;
  readonly path: string;
  readonly tensors: SafetensorsFile;
  /** Of both files, as they were before they were read. */
  readonly stamps: string;
}

/** What was asked about last: a result may have a hundred megabytes, and is asked with every click. */
let last: Beside | undefined;

const stampsOf = (...files: readonly string[]): string => files.map(stampOf).join('\n');

async function readBeside(file: string): Promise<Beside> {
  last = undefined;
  // Before it is read: where it changes meanwhile, it is read again for the next question.
  const own = stampOf(file);
  const result = await readSaved(file);
  const name = await tensorsBeside(file, result.saved ?? undefined);
  if (name === undefined) {
    const message = `No tensors lie beside ${file}; save those of the same run there, under the result's name.`;
    throw new SinkscopeError({ code: 'input', file, message });
  }
  const path = join(dirname(file), name);
  const stamps = `${own}\n${stampOf(path)}`;
  last = { file, result, path, tensors: await openSafetensors(path), stamps };
  return last;
}

async function magnitudes(
  beside: Beside,
  { over, at, most }: Extract<SavedQuestion, { type: 'magnitudes' }>,
): Promise<AnswerTo<'magnitudes'>> {
  const { model, tokens } = beside.result;
  const { hidden, layers } = model;
  if (over === 'tokens') {
    checkIndex('layer', at, 0, layers);
    return pooled(await state(beside, at, [0, tokens.length]), tokens.length, hidden, most);
  }
  checkIndex('token', at, 0, tokens.length - 1);
  const all = new Float32Array((layers + 1) * hidden);
  for (let layer = 0; layer <= layers; layer++) all.set(await state(beside, layer, [at, at + 1]), layer * hidden);
  return pooled(all, layers + 1, hidden, most);
}

/** Rows of h_layer, [tokens, dims], whose largest entries are those of the result. */
async function state(beside: Beside, layer: number, rows: readonly [from: number, to: number]): Promise<Float32Array> {
  const { model, tokens, layers } = beside.result;
  const values = await floatsOf(beside, `hidden.${layer}`, [tokens.length, model.hidden], rows);
  const { token_max, token_max_dim } = layers[layer] ?? {};
  for (let token = rows[0]; token < rows[1]; token++) {
    const most = token_max?.[token] ?? Number.NaN;
    const place = (token - rows[0]) * model.hidden + (token_max_dim?.[token] ?? 0);
    // A token whose entries are no numbers has no largest one to be known by.
    if (Number.isFinite(most) && Math.abs(values[place] ?? Number.NaN) !== most)
      throw another(beside, `hidden.${layer} has another largest entry at token ${token}`);
  }
  return values;
}

/** One head's weights, whose means by key are the result's α. */
async function pattern(
  beside: Beside,
  { layer, head, cross = false }: Extract<SavedQuestion, { type: 'pattern' }>,
): Promise<AnswerTo<'pattern'>> {
  const { model, tokens, sinks, cross_attention } = beside.result;
  checkIndex('layer', layer, 1, model.layers);
  const known = cross ? cross_attention.find((one) => one.layer === layer)?.alpha : sinks.alpha[layer - 1];
  if (!known) {
    const message = `The result says nothing of ${cross ? 'cross-attention' : 'attention'} in layer ${layer}.`;
    throw new SinkscopeError({ code: 'input', message });
  }
  checkIndex('head', head, 0, known.length - 1);
  const name = `${cross ? 'cross' : 'attn'}.${layer - 1}`;
  const queries = tokens.length;
  const extra = cross ? 0 : (sinks.extra[layer - 1]?.columns ?? 0);
  const keys = cross ? (known[head]?.length ?? 0) : queries + extra;
  const values = await floatsOf(beside, name, [known.length, queries, keys], [head, head + 1]);
  const causal = !cross && sinks.causal[layer - 1] === true;
  const first = sinks.extra[layer - 1]?.side === 'first' ? extra : 0;
  for (const [key, alpha] of (known[head] ?? []).entries()) {
    let sum = 0;
    const from = causal ? key : 0;
    for (let query = from; query < queries; query++) sum += values[query * keys + first + key] ?? Number.NaN;
    // Both are sums of floats, not of the same order.
    if (!(Math.abs(sum / (queries - from) - alpha) <= 1e-4) && !Number.isNaN(alpha))
      throw another(beside, `${name} has another α at ${cross ? 'position' : 'token'} ${key}`);
  }
  return { queries, keys, values };
}

/** Rows along the first axis of a tensor of exactly this shape. */
async function floatsOf(
  beside: Beside,
  name: string,
  shape: readonly number[],
  rows: readonly [from: number, to: number],
): Promise<Float32Array> {
  const { tensors, path } = beside;
  const known = tensors.known(name);
  if (!known) {
    const how = name.startsWith('hidden.') ? 'save them again' : 'save them again with attention patterns';
    const message = `${path} has no ${name}; ${how}.`;
    throw new SinkscopeError({ code: 'input', file: path, message });
  }
  if (known.dtype !== 'F32' || known.shape.join() !== shape.join())
    throw another(beside, `${name} is ${known.dtype} [${known.shape.join(', ')}] and not F32 [${shape.join(', ')}]`);
  if ((rows[1] - rows[0]) * shape.slice(1).reduce((product, extent) => product * extent, 1) > mostElements) {
    const message = `${name} in ${path} has more entries than are shown.`;
    throw new SinkscopeError({ code: 'input', file: path, message });
  }
  return new Float32Array((await tensors.rows(name, ...rows)).bytes.buffer);
}

function another({ path }: Beside, why: string): SinkscopeError {
  const message = `${path} is of another run than the result beside it: ${why}. Save result and tensors of one run.`;
  return new SinkscopeError({ code: 'input', file: path, message });
}
