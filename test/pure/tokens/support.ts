/** What the tokenizer's tests share: folders with files, and a tokenizer of whole words. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SinkscopeError } from '../../../src/errors.js';
import { type Encoding, loadTokenizer, type Tokenizer } from '../../../src/tokens/tokenizer.js';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
const temporary = mkdtempSync(join(tmpdir(), 'sinkscope-tokens-'));
// Several files of tests share it.
process.once('exit', () => rmSync(temporary, { recursive: true }));

/** A folder with these files; strings as they are, everything else as JSON. */
let folders = 0;
export function folder(files: Record<string, unknown>): string {
  const path = join(temporary, String(folders++));
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return path;
}

/** A file with this content; bytes as they are, everything else as JSON. */
let files = 0;
export function write(content: Uint8Array | object): string {
  const file = join(temporary, `file-${files++}`);
  writeFileSync(file, content instanceof Uint8Array ? content : JSON.stringify(content));
  return file;
}

export function load(path: string): Tokenizer {
  const tokenizer = loadTokenizer(path);
  if (!tokenizer) throw new Error(`no tokenizer in ${path}`);
  return tokenizer;
}

export function problem(act: () => unknown): SinkscopeError {
  try {
    act();
  } catch (error) {
    if (error instanceof SinkscopeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const words = { '<unk>': 0, '<s>': 1, '</s>': 2, one: 3, two: 4, ñ: 5 };
export const special = (id: number, content: string) => ({
  id,
  content,
  special: true,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
});
export const wordLevel = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [special(1, '<s>'), special(2, '</s>')],
  normalizer: null,
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: null,
  decoder: null,
  model: { type: 'WordLevel', vocab: words, unk_token: '<unk>' },
};
export const template = (prefix: string[], suffix: string[]) => ({
  type: 'TemplateProcessing',
  single: [
    ...prefix.map((id) => ({ SpecialToken: { id, type_id: 0 } })),
    { Sequence: { id: 'A', type_id: 0 } },
    ...suffix.map((id) => ({ SpecialToken: { id, type_id: 0 } })),
  ],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: {
    '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] },
    '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] },
  },
});
/** As the tokenizer gives it, its tokens in a list. */
/** With line ends as they are, which is how the references were made. */
export async function encode(tokenizer: Tokenizer, text: string, encoding: Encoding) {
  const { tokens, ...encoded } = await tokenizer.encode(text, { lineEnds: 'as-is', ...encoding });
  return { ...encoded, tokens: [...tokens] };
}
export async function ids(path: string, text: string, bos?: boolean): Promise<number[]> {
  return (await encode(load(path), text, { bos })).tokens.map(({ id }) => id);
}
