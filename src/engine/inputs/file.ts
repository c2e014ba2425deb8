/** A prompt of tensors by the names of graph inputs, in a file. */
import { grouped, SinkscopeError } from '../../errors.js';
import { openNpz } from '../../statistics/npz.js';
import { openSafetensors } from '../../statistics/safetensors.js';
import { checkIds, type Tokenizer } from '../../tokens/tokenizer.js';
import { quoted } from '../../visible.js';
import type { RunRequest } from '../contract/events.js';
import { storedValue, type Value } from '../tensors/value.js';
import { givenIds } from './feeds.js';
import { type Limits, type Prompt, tokensOf } from './prompt.js';

const open = (file: string) => (file.toLowerCase().endsWith('.npz') ? openNpz : openSafetensors)(file);

/**
 * What a file has tensors for.
 *
 * @throws SinkscopeError `file` as the readers
 */
export const tensorNames = async (file: string): Promise<readonly string[]> => (await open(file)).names;

/** @throws SinkscopeError `file` as the readers, `input` where it has a tensor for none of the inputs, `too-long` */
export async function fromFile(
  { feeds: file, tokenName = 'token' }: Extract<RunRequest['prompt'], { feeds: string }>,
  limits: Limits,
  tokenizer: () => Tokenizer | undefined,
): Promise<Prompt> {
  const given = await inputsOf(file, limits);
  const ids = givenIds(limits.inputs, given);
  if (!ids) {
    const named = (count: number) =>
      Array.from({ length: count }, (_, id) => ({ id, text: `${tokenName} ${id}`, start: 0, end: 0, special: false }));
    const nothing = { tokens: undefined, total: 0, window: { start: 0, end: 0 } };
    return { given, source: 'features', bos: undefined, named, ...nothing };
  }

  checkIds(ids, limits.vocabulary);
  if (ids.length > limits.context) {
    throw new SinkscopeError({
      code: 'too-long',
      file,
      message: `${file} has ${grouped(ids.length)} tokens, but ${limits.because}: give at most ${grouped(limits.context)}.`,
      limit: { tokens: ids.length, context: limits.context },
    });
  }
  const tokens = tokensOf(ids, tokenizer());
  return { given, source: 'feeds', bos: undefined, tokens, total: ids.length, window: { start: 0, end: ids.length } };
}

/**
 * What stands beside a text or ids, which fill the input of token ids.
 *
 * @throws SinkscopeError as {@link fromFile}, and `input` where the file has token ids as well
 */
export async function beside(file: string | undefined, limits: Limits): Promise<Pick<Prompt, 'given'> | undefined> {
  if (file === undefined) return undefined;
  const given = await inputsOf(file, limits);
  const ids = limits.inputs.find(({ name, role }) => role === 'token-ids' && given.has(name));
  if (!ids) return { given };
  throw new SinkscopeError({
    code: 'input',
    file,
    message: `${file} has token ids (${quoted(ids.name)}) and a text or ids were given as well; leave one of them out.`,
  });
}

/** Tensors by input name. */
async function inputsOf(file: string, { inputs }: Limits): Promise<ReadonlyMap<string, Value>> {
  const tensors = await open(file);
  const given = new Map<string, Value>();
  for (const { name } of inputs) {
    if (tensors.names.includes(name)) given.set(name, storedValue(await tensors.tensor(name)));
  }
  if (given.size > 0) return given;
  const names = inputs.map((input) => input.name).join(', ');
  throw new SinkscopeError({
    code: 'input',
    file,
    message: `${file} has a tensor for none of the model's inputs; give at least what it is about (inputs: ${names}).`,
  });
}
