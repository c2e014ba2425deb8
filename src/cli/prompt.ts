/** Options of the subcommands that run a model once, on one text. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { SinkscopeError } from '../errors.js';
import { readText } from '../experiments/shared/files.js';
import type { PromptRequest } from '../experiments/shared/run.js';
import { modelFile } from './model.js';
import { budget, memoryOption } from './text.js';

export interface PromptOptions {
  readonly text?: string;
  readonly file?: string;
  readonly bos?: boolean;
  readonly window?: 'first' | 'last';
  readonly memory: number;
  readonly json?: boolean;
}

export function withPromptOptions(command: Command): Command {
  return command
    .argument('<model>', 'path of a .onnx file, or the name of a bundled model')
    .addOption(new Option('--text <text>', 'the text itself').conflicts('file'))
    .option('--file <path>', 'a UTF-8 text file')
    .option('--bos', 'put the beginning-of-sequence token before the text (default: as the tokenizer does)')
    .option('--no-bos', 'leave it out')
    .addOption(new Option('--window <part>', 'of a text that is too long, the part to run').choices(['first', 'last']))
    .addOption(memoryOption())
    .option('--json', 'print the result as JSON');
}

/** @throws SinkscopeError `input` without a text */
export async function promptRequest(model: string, options: PromptOptions): Promise<PromptRequest> {
  const { text, file, bos, window } = options;
  if (text === undefined && file === undefined)
    throw new SinkscopeError({ code: 'input', message: 'There is no text: give --text or --file.' });
  const prompt = { text: text ?? (await readText(file ?? '')) };
  return { prompt, bos, window, model: await modelFile(model), ...budget(options) };
}

/** What is run, as JSON: the file or the text that was given. */
export function promptJson({ text, file }: PromptOptions) {
  return { file: file ?? null, text: text ?? null };
}

/** Characters of a text that are its name. */
const named = 40;

/** What is run, in words. */
export function promptName({ text = '', file }: Pick<PromptOptions, 'text' | 'file'>): string {
  if (file !== undefined) return file;
  const characters = [...text];
  return JSON.stringify(characters.length > named ? `${characters.slice(0, named).join('')}…` : text);
}

/**
 * What `run` comes to.
 *
 * @throws SinkscopeError as `run`; for a text that is too long, with what can be done about it here
 */
export async function fitting<T>(run: Promise<T>): Promise<T> {
  try {
    return await run;
  } catch (error) {
    if (!SinkscopeError.is(error, 'too-long')) throw error;
    const message = `${error.message} Use --window first or --window last, or raise --memory if that is the limit.`;
    throw new SinkscopeError({ ...error, message }, { cause: error });
  }
}

/** Reads indices from 0 on, as in 0,3,17. */
export function parseIndices(value: string): number[] {
  const indices = value.split(',').map((index) => (/^\s*\d{1,9}\s*$/.test(index) ? Number(index) : Number.NaN));
  if (indices.some(Number.isNaN)) throw new InvalidArgumentError('They are whole numbers from 0 on, as in 0,3,17.');
  return indices;
}

export function parseIndex(value: string): number {
  const [index, ...others] = parseIndices(value);
  if (index === undefined || others.length > 0) throw new InvalidArgumentError('It is a whole number from 0 on.');
  return index;
}
