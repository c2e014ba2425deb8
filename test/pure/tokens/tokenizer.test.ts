import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { encode, folder, ids, load, root, wordLevel } from './support.js';

interface Case {
  name: string;
  text: string;
  ids: number[];
  /** UTF-16, by the Python binding of the same library. */
  offsets: [number, number][];
  withSpecial: number[];
}
const references: Record<string, Case[]> = JSON.parse(readFileSync(join(root, 'test/references/tokens.json'), 'utf8'));

describe.each(Object.entries(references))('%s', (file, cases) => {
  const tokenizer = load(join(root, file));

  it.each(cases)('$name: ids and places as in Python', async ({ text, ids, offsets }) => {
    const { tokens } = await encode(tokenizer, text, { bos: tokenizer.bos ? false : undefined });
    expect(tokens.map(({ id }) => id)).toEqual(ids);
    // Python's range of a letter whose mark the normaliser joined to it ends before the mark; ours holds both.
    const joined = (end: number) => offsets.some(([start]) => start === end) || !/^\p{M}/u.test(text.slice(end));
    expect(tokens.map(({ start, end }) => [start, end])).toEqual(
      offsets.map(([start, end]) => [start, joined(end) ? end : end + 1]),
    );
  });

  it.each(cases)('$name: every character of the text is under a token', async ({ text }) => {
    const covered = new Array<boolean>(text.length).fill(false);
    const { tokens } = await encode(tokenizer, text, { bos: undefined });
    for (const { start, end } of tokens) covered.fill(true, start, end);
    expect(covered).not.toContain(false);
  });

  it.each(cases)('$name: tokens that are one whole character or more show their text', async ({ text }) => {
    const { tokens } = await encode(tokenizer, text, { bos: false });
    // The prepended ▁ of SentencePiece is a space that is not in the text.
    const whole = tokens.filter((token, index) => index > 0 && !token.text.includes('‹'));
    const places = tokens.map(({ start }) => start);
    for (const token of whole) {
      if (places.indexOf(token.start) !== places.lastIndexOf(token.start)) continue;
      expect(token.text.normalize('NFC').trimStart()).toBe(
        text.slice(token.start, token.end).normalize('NFC').trimStart(),
      );
    }
  });
});

describe('post-processing of the tokenizer itself', () => {
  const file = 'test/references/tokenizers/byte-level.json';
  const cases = references[file] ?? [];
  it.each(cases.filter(({ text }) => text !== ''))('$name', async ({ text, withSpecial }) => {
    const encoded = await encode(load(join(root, file)), text, { bos: undefined });
    expect(encoded.tokens.map(({ id }) => id)).toEqual(withSpecial);
    expect(encoded).toMatchObject({ bos: true, prefix: 1, suffix: 0 });
    expect(encoded.tokens[0]).toEqual({ id: 0, text: '<|begin|>', start: 0, end: 0, special: true });
  });
});

describe('places of tokens', () => {
  it('lower-casing and stripped accents still land on the right characters', async () => {
    const bert = {
      ...wordLevel,
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: '<unk>',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: { '<unk>': 0, '<s>': 1, '</s>': 2, na: 3, '##ive': 4, e: 5 },
      },
    };
    const { tokens } = await encode(load(folder({ 'tokenizer.json': bert })), '🙂 NAÏVE e\u0301', { bos: undefined });
    expect(tokens.map(({ text, start, end }) => [text, start, end])).toEqual([
      ['<unk>', 0, 2],
      ['na', 3, 5],
      ['##ive', 5, 8],
      ['e', 9, 11],
    ]);
  });

  it('spaces that trim_offsets takes off their own token are given back', async () => {
    const content = JSON.parse(readFileSync(join(root, 'test/references/tokenizers/byte-level.json'), 'utf8'));
    content.post_processor.processors[0].trim_offsets = true;
    const { tokens } = await encode(load(folder({ 'tokenizer.json': content })), 'x    y', { bos: false });
    expect(tokens[0]).toMatchObject({ text: 'x', start: 0, end: 1 });
    expect(tokens.filter(({ start, end }) => start === end)).toEqual([]);
    expect(tokens.at(-1)).toMatchObject({ end: 6 });
  });

  it('a lone surrogate does not shift what follows', async () => {
    const tokenizer = load(join(root, 'media/models/llama'));
    const { tokens } = await encode(tokenizer, 'a\ud800🙂z', { bos: false });
    expect(tokens.at(-1)).toMatchObject({ text: 'z', start: 4, end: 5 });
  });

  it('padding and truncation kept in the file are not applied', async () => {
    const content = {
      ...wordLevel,
      truncation: { direction: 'Right', max_length: 2, strategy: 'LongestFirst', stride: 0 },
      padding: {
        strategy: { Fixed: 8 },
        direction: 'Right',
        pad_to_multiple_of: null,
        pad_id: 0,
        pad_type_id: 0,
        pad_token: '<unk>',
      },
    };
    expect(await ids(folder({ 'tokenizer.json': content }), 'one two one two')).toEqual([3, 4, 3, 4]);
  });
});

describe('text of one token', () => {
  const byteLevel = load(join(root, 'test/references/tokenizers/byte-level.json'));
  const sentencePiece = load(join(root, 'test/references/tokenizers/sentencepiece.json'));

  it('shows bytes that are no whole character as bytes', async () => {
    for (const tokenizer of [byteLevel, sentencePiece]) {
      const { tokens } = await encode(tokenizer, 'ߡ', { bos: false });
      expect(tokens.slice(-2).map(({ text }) => text)).toEqual(['‹0xDF›', '‹0xA1›']);
    }
  });

  it('keeps leading spaces', async () => {
    for (const tokenizer of [byteLevel, sentencePiece]) {
      const { tokens } = await encode(tokenizer, 'in the end', { bos: false });
      expect(
        tokens
          .map(({ text }) => text)
          .join('')
          .trimStart(),
      ).toBe('in the end');
    }
  });

  it('has a name for an id without a token', () => {
    expect(byteLevel.decode(60_000)).toBe('token 60000');
  });
});

describe('long texts', () => {
  const tokenizer = load(join(root, 'media/models/llama'));

  it('keep their places to the end', async () => {
    const line = 'The lamp was lit 🙂.\n';
    const text = line.repeat(5_000);
    const { tokens: one } = await encode(tokenizer, line, { bos: false });
    const { tokens } = await encode(tokenizer, text, { bos: false });
    const shift = text.length - line.length;
    expect(tokens).toHaveLength(one.length * 5_000);
    expect(tokens.slice(-one.length)).toEqual(
      one.map((token) => ({ ...token, start: token.start + shift, end: token.end + shift })),
    );
  });

  it('that no memory would hold are refused', async () => {
    const error = await tokenizer.encode('x'.repeat(2 ** 24 + 1), { bos: false }).catch((e) => e);
    expect(SinkscopeError.is(error, 'too-long')).toBe(true);
    expect(error.message).toContain('select a part');
  });
});
