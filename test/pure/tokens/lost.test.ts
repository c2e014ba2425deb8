import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadTokenizer } from '../../../src/tokens/tokenizer.js';

const temporary = mkdtempSync(join(tmpdir(), 'sinkscope-lost-'));
afterAll(() => rmSync(temporary, { recursive: true }));

let files = 0;
/** How many characters of `text` a tokenizer of this model leaves the language model without. */
async function lost(text: string, model: object, more: object = {}): Promise<number | undefined> {
  const file = join(temporary, `${files++}.json`);
  writeFileSync(file, JSON.stringify({ version: '1.0', added_tokens: [], model, ...more }));
  return (await loadTokenizer(file)?.encode(text, { bos: undefined }))?.lost;
}

const merges: string[] = [];
const letters = { a: 0, b: 1, '<unk>': 2 };
const whitespace = { pre_tokenizer: { type: 'Whitespace' } };

it('characters that are dropped, wherever they stand', async () => {
  const bpe = { type: 'BPE', vocab: letters, merges };
  expect(await lost('ab ba', bpe, whitespace)).toBe(0);
  expect(await lost('東aé b京', bpe, whitespace)).toBe(3);
});

it('characters that are unknown, also where several share one token', async () => {
  const bpe = { type: 'BPE', vocab: letters, merges, unk_token: '<unk>', fuse_unk: true };
  expect(await lost('ab東京 a🙂', bpe, whitespace)).toBe(3);
  const words = { type: 'WordLevel', vocab: letters, unk_token: '<unk>' };
  expect(await lost('a three b', words, whitespace)).toBe(5);
});

it('not the unknown token where the text spells it', async () => {
  const words = { type: 'WordLevel', vocab: letters, unk_token: '<unk>' };
  const special = { content: '<unk>', special: true, single_word: false, lstrip: false, rstrip: false };
  const added = [{ id: 2, normalized: false, ...special }];
  expect(await lost('a <unk> b', words, { ...whitespace, added_tokens: added })).toBe(0);
});

it('not the blanks, control characters and marks that tokenizers drop by design', async () => {
  const vocab = { '[UNK]': 0, naive: 1, e: 2 };
  const wordPiece = {
    type: 'WordPiece',
    vocab,
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
  };
  const bert = {
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
  };
  expect(await lost('NAÏVE\u0007 e\u0301\r\n\t', wordPiece, bert)).toBe(0);
  expect(await lost('naive 東京', wordPiece, bert)).toBe(2);
});

it('a text of which nothing is left is refused, and is not called empty', async () => {
  const bpe = { type: 'BPE', vocab: letters, merges };
  await expect(lost('東京', bpe, whitespace)).rejects.toThrow(/has no token for any character of this text/);
  expect(await lost(' \n', bpe, whitespace)).toBe(0);
});
