/** A text in parts has the tokens that the library gives to the whole. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunRequest } from '../../../src/engine/contract/events.js';
import { fromText } from '../../../src/engine/inputs/text.js';
import { encodeParts, type PlacedIds } from '../../../src/tokens/parts.js';
import type { Tokenizer } from '../../../src/tokens/tokenizer.js';
import { folder, load, root, wordLevel } from './support.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');

const content = (file: string) => JSON.parse(read(file));
const wordPiece = {
  ...wordLevel,
  normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  model: {
    type: 'WordPiece',
    unk_token: '<unk>',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(
      ['<unk>', ...'abcdefghijklmnopqrstuvwxyz.,;-"!']
        .flatMap((letter) => [letter, `##${letter}`])
        .map((piece, id) => [piece, id]),
    ),
  },
};
const unigram = {
  ...wordLevel,
  normalizer: { type: 'NFKC' },
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  model: {
    type: 'Unigram',
    unk_id: 0,
    vocab: [
      ['<unk>', 0],
      ...[...'▁abcdefghijklmnopqrstuvwxyz.,', '▁the', 'ing', 'tion', '▁of', 'er', '▁and', 'aa', 'aaa'].map((piece) => [
        piece,
        -2 - piece.length / 7,
      ]),
    ],
  },
};
const fixed = { ...wordLevel, pre_tokenizer: { type: 'FixedLength', length: 7 } };

/** Where a quotation begins depends on how many marks there were before: a part that begins within one disagrees. */
const quotations = {
  ...wordPiece,
  normalizer: null,
  pre_tokenizer: { type: 'Split', pattern: { Regex: '"[^"]*"' }, behavior: 'Isolated', invert: false },
  model: {
    ...wordPiece.model,
    vocab: Object.fromEntries(
      ['<unk>', ...'sayhitome "'].flatMap((letter) => [letter, `##${letter}`]).map((piece, id) => [piece, id]),
    ),
  },
};

const tokenizers: [string, Tokenizer][] = [
  ['byte-level', load(join(root, 'test/references/tokenizers/byte-level.json'))],
  ['sentencepiece', load(join(root, 'test/references/tokenizers/sentencepiece.json'))],
  ['llama', load(join(root, 'media/models/llama'))],
  ['WordPiece', load(folder({ 'tokenizer.json': wordPiece }))],
  ['Unigram', load(folder({ 'tokenizer.json': unigram }))],
  ['quotations', load(folder({ 'tokenizer.json': quotations }))],
  ['blocks of seven characters', load(folder({ 'tokenizer.json': fixed }))],
  [
    'byte-level with trimmed places',
    load(
      folder({
        'tokenizer.json': {
          ...content('test/references/tokenizers/byte-level.json'),
          post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
        },
      }),
    ),
  ],
];

const prose = read('test/text/three-men-in-a-boat.md').slice(0, 20_000);
const texts: [string, string][] = [
  ['prose', prose],
  ['one letter', 'a'.repeat(9_001)],
  ['blanks', `${' '.repeat(5_000)}x${'\n'.repeat(4_000)}`],
  ['no blanks', '吾輩は猫である名前はまだ無い'.repeat(500)],
  ['characters of two units', '🙂👩‍👩‍👧‍👧🇫🇷 '.repeat(600)],
  ['marks', 'e\u0301a\u0308\u0323o '.repeat(1_000)],
  ['quotations', 'say "hi" to me '.repeat(300)],
  ['code', 'function f(x) {\n    return x == 0 ? 1 : x*f(x - 1);\n}\n\n'.repeat(200)],
  [
    'a long word amid prose',
    `${prose.slice(0, 3_000)}${'supercalifragilistic'.repeat(300)}${prose.slice(3_000, 6_000)}`,
  ],
];

async function encode(tokenizer: Tokenizer, text: string): Promise<PlacedIds> {
  const { tokens } = await tokenizer.encode(text, { bos: tokenizer.bos ? false : undefined });
  return { ids: [...tokens.ids], ranges: [...tokens].map(({ start, end }) => [start, end]) };
}

describe.each(tokenizers)('%s', (name, tokenizer) => {
  it.each(texts)('%s', async (_, text) => {
    const whole = await encode(tokenizer, text);
    const given: PlacedIds[] = [];
    let longest = 0;
    const counted = (part: string) => {
      longest = Math.max(longest, part.length);
      return encode(tokenizer, part);
    };
    for await (const part of encodeParts(text, 1_000, counted)) given.push(part);
    expect(given.flatMap(({ ids }) => ids)).toEqual(whole.ids);
    expect(given.flatMap(({ ranges }) => ranges)).toEqual(whole.ranges);
    // Where parts never agree, there is no way but the whole.
    if (text === prose) expect(longest).toBe(name === 'quotations' ? text.length : 1_000);
  });
});

it('gives the first tokens before it has seen the whole', async () => {
  const tokenizer = load(join(root, 'media/models/llama'));
  const text = prose.repeat(50);
  const { tokens, lost } = await tokenizer.encode(text, { bos: false, most: 100 });
  const whole = await tokenizer.encode(text, { bos: false });
  expect([...tokens]).toEqual(whole.tokens.slice(0, 100));
  expect(lost).toBe(0);
});

it('asks which part of two megabytes is run, and gives the first, from a few of its parts', async () => {
  const file = join(root, 'media/models/llama');
  const tokenizer = load(file);
  const text = prose.repeat(Math.ceil(2_000_000 / prose.length));
  const work = async (window?: 'first') => {
    let parts = 0;
    const onPart = () => parts++;
    const limits = { file, inputs: [], vocabulary: undefined, context: 512, because: 'it was made for fewer', onPart };
    const request: RunRequest = {
      model: file,
      prompt: { text },
      attention: false,
      memory: 2 ** 30,
      threads: 0,
      window,
    };
    const given: unknown = await fromText(text, request, limits, tokenizer).catch((error: unknown) => error);
    return { given, parts };
  };
  const [asked, first] = [await work(), await work('first')];
  expect(asked.given).toMatchObject({ code: 'too-long' });
  expect(first.given).toMatchObject({ total: undefined, window: { start: 0, end: 511 } });
  expect([asked.parts, first.parts]).toEqual([2, 2]);
});
