import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { readTokenizerConfig } from '../../../src/tokens/prefix.js';
import { checkFit, checkIds, loadTokenizer } from '../../../src/tokens/tokenizer.js';
import { encode, folder, ids, load, problem, root, special, template, wordLevel } from './support.js';

describe('fit to the model', () => {
  const tokenizer = load(join(root, 'media/models/llama'));

  it('takes a vocabulary of its size or larger', () => {
    expect(tokenizer.vocabularySize).toBe(8192);
    for (const size of [8192, 8200]) expect(() => checkFit(tokenizer, size)).not.toThrow();
  });

  it('refuses a smaller one', () => {
    const error = problem(() => checkFit(tokenizer, 8191));
    expect(error.code).toBe('tokenizer');
    expect(error.message).toMatch(/tokenizer\.json has 8,192 tokens but the model knows only 8,191: put/);
  });

  it('does not count tokens added to the vocabulary, which a text model may lack', () => {
    const added = { ...wordLevel, added_tokens: [...wordLevel.added_tokens, special(6, '<image>')] };
    const tokenizer = load(folder({ 'tokenizer.json': added }));
    expect(() => checkFit(tokenizer, 6)).not.toThrow();
  });

  it.each([[[0, 8192]], [[-1]], [[1.5]], [[Number.NaN]]])('refuses ids %j', (given) => {
    expect(problem(() => checkIds(given, 8192))).toMatchObject({ code: 'input' });
  });

  it('names the id and where it stands', () => {
    expect(problem(() => checkIds([5, 9000], 8192)).message).toBe(
      "Token 1 has id 9000, but the model's ids are whole numbers from 0 to 8191.",
    );
    expect(() => checkIds([0, 8191], 8192)).not.toThrow();
    expect(() => checkIds([1e9], undefined)).not.toThrow();
  });
});

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const precompiled = (bytes: Uint8Array) => ({ type: 'Precompiled', precompiled_charsmap: base64(bytes) });

/** A compiled normalisation of Darts-clone's layout that replaces "x": a root, a unit for the letter, its leaf. */
function charsmap({ root = 256, value = 0, replacement = 'one' } = {}): Uint8Array {
  const [letter, leaf] = [256 ^ 0x78, 256 ^ 0xf0];
  const trie = new Uint32Array(512);
  trie[0] = root << 10;
  trie[letter] = 0x78 | (1 << 8) | ((letter ^ leaf) << 10);
  trie[leaf] = (2 ** 31 + value) >>> 0;
  return Buffer.concat(
    [Uint32Array.of(trie.byteLength), trie, Buffer.from(`${replacement}\0`)].map((part) =>
      Buffer.from(part.buffer, part.byteOffset, part.byteLength),
    ),
  );
}

it('a compiled normalisation that is sound does its work', async () => {
  const content = { ...wordLevel, normalizer: precompiled(charsmap()) };
  expect(await ids(folder({ 'tokenizer.json': content }), 'x two')).toEqual([3, 4]);
});

describe('bad files', () => {
  it('no tokenizer.json is no error', () => {
    expect(loadTokenizer(folder({}))).toBeUndefined();
    expect(loadTokenizer(join(folder({ 'config.json': {} }), 'model.onnx'))).toBeUndefined();
  });

  it.each<[string, unknown, RegExp]>([
    ['empty', '', /is not valid JSON; download/],
    ['cut off', JSON.stringify(wordLevel).slice(0, 200), /is not valid JSON; download/],
    ['an array', [], /holds no JSON object; download/],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n', /is not valid JSON/],
    ['without a model', { version: '1.0' }, /is no tokenizer that Sinkscope knows: model:/],
    [
      'an unknown model type',
      { ...wordLevel, model: { type: 'Tiktoken', vocab: {} } },
      /knows: model\.type: .*"Tiktoken"/,
    ],
    ['a vocabulary of strings', { ...wordLevel, model: { ...wordLevel.model, vocab: { a: 'b' } } }, /model\.vocab/],
    ['a negative id', { ...wordLevel, model: { ...wordLevel.model, vocab: { a: -1 } } }, /model\.vocab/],
    ['an unknown pre-tokenizer', { ...wordLevel, pre_tokenizer: { type: 'Foo' } }, /is not a usable tokenizer/],
    [
      'a pattern that is none',
      { ...wordLevel, pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated', invert: false } },
      /is not a usable tokenizer/,
    ],
    [
      'an unknown token outside the vocabulary',
      { ...wordLevel, model: { type: 'Unigram', vocab: [['a', -1]], unk_id: 1 } },
      /contradicts itself: its unknown token is outside/,
    ],
    [
      'a merge that would abort the library',
      {
        ...wordLevel,
        model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: [['a', 'b']], continuing_subword_prefix: '##' },
      },
      /contradicts itself: merges lack its continuing_subword_prefix/,
    ],
    [
      'the same in the old notation',
      {
        ...wordLevel,
        model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'], continuing_subword_prefix: '##' },
      },
      /contradicts itself/,
    ],
    [
      'a compiled normalisation without a trie',
      { ...wordLevel, normalizer: precompiled(Uint8Array.of(0, 0, 0, 0, 0xff)) },
      /contradicts itself: its precompiled_charsmap has no trie/,
    ],
    [
      'one that is cut off, in a sequence',
      { ...wordLevel, normalizer: { type: 'Sequence', normalizers: [precompiled(Uint8Array.of(0, 1, 0, 0, 0))] } },
      /its precompiled_charsmap is cut off/,
    ],
    [
      'one whose trie leads out of it',
      { ...wordLevel, normalizer: precompiled(charsmap({ root: 2 ** 20 })) },
      /its precompiled_charsmap leads out of its trie/,
    ],
    [
      'one whose replacement is nowhere, in a notation without types',
      { ...wordLevel, normalizer: { precompiled_charsmap: base64(charsmap({ value: 9 })) } },
      /its precompiled_charsmap leads out of its replacements/,
    ],
    [
      'one whose replacement begins within a character',
      { ...wordLevel, normalizer: precompiled(charsmap({ value: 1, replacement: 'ñ' })) },
      /its precompiled_charsmap leads out of its replacements/,
    ],
    [
      'a template that puts the text again and again',
      {
        ...wordLevel,
        post_processor: { ...template([], []), single: Array(3).fill({ Sequence: { id: 'A', type_id: 0 } }) },
      },
      /contradicts itself: its post_processor puts a text 3 times/,
    ],
    [
      'a normaliser that multiplies',
      { ...wordLevel, normalizer: { type: 'Replace', pattern: { String: 'a' }, content: 'a'.repeat(100_000) } },
      /its normaliser makes a text up to 100000 times as long, and at most 256 are taken/,
    ],
    [
      'normalisers that double one after another',
      {
        ...wordLevel,
        normalizer: {
          type: 'Sequence',
          normalizers: Array.from({ length: 40 }, () => ({ type: 'Replace', pattern: { String: 'a' }, content: 'aa' })),
        },
      },
      /up to 1099511627776 times as long/,
    ],
    ['deeply nested', '['.repeat(1e6), /not valid JSON|no tokenizer/],
    [
      'a deep pre-tokenizer',
      JSON.stringify({ ...wordLevel, pre_tokenizer: 0 }).replace(
        '"pre_tokenizer":0',
        `"pre_tokenizer":${'{"type":"Sequence","pretokenizers":['.repeat(5000)}{"type":"Whitespace"}${']}'.repeat(5000)}`,
      ),
      /is not a usable tokenizer/,
    ],
  ])('%s', (_, content, message) => {
    const path = folder({ 'tokenizer.json': content });
    const error = problem(() => loadTokenizer(path));
    expect(error.code).toBe('tokenizer');
    expect(error.file).toBe(join(path, 'tokenizer.json'));
    expect(error.message).toContain(error.file);
    expect(error.message).toMatch(message);
  });

  it('a text with a word that the tokenizer has no token for, not even an unknown one', async () => {
    const content = { ...wordLevel, model: { ...wordLevel.model, unk_token: '<none>' } };
    const error = await load(folder({ 'tokenizer.json': content }))
      .encode('three', { bos: undefined })
      .catch((e) => e);
    expect(SinkscopeError.is(error, 'tokenizer')).toBe(true);
    expect(error.message).toMatch(/cannot represent this text; use/);
  });

  it('a byte order mark is forgiven in configuration files', async () => {
    const config = `\uFEFF${JSON.stringify({ add_bos_token: true, bos_token: '<s>' })}`;
    expect(await ids(folder({ 'tokenizer.json': wordLevel, 'tokenizer_config.json': config }), 'one')).toEqual([1, 3]);
  });

  it('a broken tokenizer_config.json is no reason to stop, and is named', async () => {
    const path = folder({ 'tokenizer.json': wordLevel, 'tokenizer_config.json': '{' });
    expect(await ids(path, 'one')).toEqual([3]);
    const file = join(path, 'tokenizer_config.json');
    expect(readTokenizerConfig(file)).toEqual({ unread: expect.stringContaining(`${file} is not valid JSON`) });
  });

  it.each(['constructor', 'prototype', '__proto__', 'toString'])('%s is a word like any other', async (word) => {
    const { model } = wordLevel;
    const named = {
      ...wordLevel,
      model: { ...model, vocab: { ...model.vocab, NAME: 6 } },
      post_processor: {
        ...template(['NAME'], []),
        special_tokens: { NAME: { id: 'NAME', ids: [6], tokens: ['NAME'] } },
      },
    };
    // As JSON, for `__proto__` in an object of JavaScript's would be no entry.
    const loaded = load(folder({ 'tokenizer.json': JSON.stringify(named).replaceAll('NAME', word) }));
    expect(loaded.vocabularySize).toBe(7);
    const { tokens } = await encode(loaded, 'one', { bos: undefined });
    expect(tokens.map(({ id, text }) => [id, text])).toEqual([
      [6, word],
      [3, 'one'],
    ]);
  });
});

it('BPE that leaves out merges at random does so no longer', async () => {
  const letters = { a: 0, b: 1, c: 2, d: 3, ab: 4, cd: 5, abcd: 6 };
  const merges = ['a b', 'c d', 'ab cd'];
  const model = { type: 'BPE', vocab: letters, merges, dropout: 0.5 };
  const path = folder({ 'tokenizer.json': { ...wordLevel, added_tokens: [], model } });
  // By chance alone one in a million would do.
  for (let i = 0; i < 20; i++) expect(await ids(path, 'abcd')).toEqual([6]);
  expect(loadTokenizer(path)?.remark).toMatch(/^dropout of the tokenizer: it is switched off/);
  const steady = folder({ 'tokenizer.json': { ...wordLevel, added_tokens: [], model: { ...model, dropout: null } } });
  expect(loadTokenizer(steady)?.remark).toBeUndefined();
});
