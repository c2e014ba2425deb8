import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { checkFit, checkIds, loadTokenizer, type Tokenizer } from '../../../src/tokens/tokenizer.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const temporary = mkdtempSync(join(tmpdir(), 'sinkscope-tokens-'));
afterAll(() => rmSync(temporary, { recursive: true }));

/** A folder with these files; strings as they are, everything else as JSON. */
let folders = 0;
function folder(files: Record<string, unknown>): string {
  const path = join(temporary, String(folders++));
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return path;
}

function load(path: string): Tokenizer {
  const tokenizer = loadTokenizer(path);
  if (!tokenizer) throw new Error(`no tokenizer in ${path}`);
  return tokenizer;
}

function problem(act: () => unknown): SinkscopeError {
  try {
    act();
  } catch (error) {
    if (error instanceof SinkscopeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

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
    const { tokens } = await tokenizer.encode(text, { bos: tokenizer.bos ? false : undefined });
    expect(tokens.map(({ id }) => id)).toEqual(ids);
    // Python's range of a letter whose mark the normaliser joined to it ends before the mark; ours holds both.
    const joined = (end: number) => offsets.some(([start]) => start === end) || !/^\p{M}/u.test(text.slice(end));
    expect(tokens.map(({ start, end }) => [start, end])).toEqual(
      offsets.map(([start, end]) => [start, joined(end) ? end : end + 1]),
    );
  });

  it.each(cases)('$name: every character of the text is under a token', async ({ text }) => {
    const covered = new Array<boolean>(text.length).fill(false);
    const { tokens } = await tokenizer.encode(text, { bos: undefined });
    for (const { start, end } of tokens) covered.fill(true, start, end);
    expect(covered).not.toContain(false);
  });

  it.each(cases)('$name: tokens that are one whole character or more show their text', async ({ text }) => {
    const { tokens } = await tokenizer.encode(text, { bos: false });
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
    const encoded = await load(join(root, file)).encode(text, { bos: undefined });
    expect(encoded.tokens.map(({ id }) => id)).toEqual(withSpecial);
    expect(encoded).toMatchObject({ bos: true, prefix: 1, suffix: 0 });
    expect(encoded.tokens[0]).toEqual({ id: 0, text: '<|begin|>', start: 0, end: 0, special: true });
  });
});

describe('the demo models', () => {
  it.each([
    ['llama', 0],
    ['llama-sink', 1],
    ['llama-plain', undefined],
    ['llama-bias', undefined],
  ])('%s has token %s in front by default', async (name, id) => {
    const tokenizer = load(join(root, 'media/models', name, 'model.onnx'));
    const { tokens, bos } = await tokenizer.encode('Once upon a time', { bos: undefined });
    const plain = await tokenizer.encode('Once upon a time', { bos: false });
    expect(tokens.map((token) => token.id)).toEqual([
      ...(id === undefined ? [] : [id]),
      ...plain.tokens.map((t) => t.id),
    ]);
    expect(bos).toBe(id !== undefined);
    expect(plain.bos).toBe(false);
  });

  it('says so when a prefix is asked for and the model has none', async () => {
    const error = await load(join(root, 'media/models/llama-plain'))
      .encode('text', { bos: true })
      .catch((e) => e);
    expect(SinkscopeError.is(error, 'input')).toBe(true);
    expect(error.message).toContain('tokenizer.json name no prefix token (BOS)');
  });
});

const words = { '<unk>': 0, '<s>': 1, '</s>': 2, one: 3, two: 4, ñ: 5 };
const special = (id: number, content: string) => ({
  id,
  content,
  special: true,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
});
const wordLevel = {
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
const template = (prefix: string[], suffix: string[]) => ({
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
async function ids(path: string, text: string, bos?: boolean): Promise<number[]> {
  return (await load(path).encode(text, { bos })).tokens.map(({ id }) => id);
}

describe('prefix token', () => {
  const templated = { 'tokenizer.json': { ...wordLevel, post_processor: template(['<s>'], ['</s>']) } };

  it('comes from the template, and can be left out; what follows the text stays', async () => {
    expect(await ids(folder(templated), 'one two')).toEqual([1, 3, 4, 2]);
    expect(await ids(folder(templated), 'one two', true)).toEqual([1, 3, 4, 2]);
    expect(await ids(folder(templated), 'one two', false)).toEqual([3, 4, 2]);
  });

  it('is not doubled where the text begins with it', async () => {
    expect(await ids(folder(templated), '<s>one')).toEqual([1, 3, 2]);
    expect(await ids(folder(templated), '<s>one', true)).toEqual([1, 3, 2]);
    const { tokens } = await load(folder(templated)).encode('<s>one', { bos: true });
    expect(tokens[0]).toEqual({ id: 1, text: '<s>', start: 0, end: 3, special: true });
  });

  it('comes from BERT’s and RoBERTa’s processors, also inside a sequence', async () => {
    const bert = { type: 'BertProcessing', cls: ['<s>', 1], sep: ['</s>', 2] };
    const byteLevel = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };
    const nested = { type: 'Sequence', processors: [byteLevel, template(['<s>'], [])] };
    expect(await ids(folder({ 'tokenizer.json': { ...wordLevel, post_processor: bert } }), 'one')).toEqual([1, 3, 2]);
    expect(await ids(folder({ 'tokenizer.json': { ...wordLevel, post_processor: nested } }), 'one')).toEqual([1, 3]);
  });

  it.each([
    ['add_bos_token and bos_token', { add_bos_token: true, bos_token: '<s>' }, {}, [1, 3], [1, 3]],
    [
      'bos_token as an object',
      { add_bos_token: true, bos_token: { content: '<s>', lstrip: false } },
      {},
      [1, 3],
      [1, 3],
    ],
    ['bos_token that is not added', { add_bos_token: false, bos_token: '<s>' }, {}, [3], [1, 3]],
    ['bos_token and no word on adding it', { bos_token: '<s>' }, {}, [3], [1, 3]],
    ['bos_token_id of config.json', { add_bos_token: true }, { bos_token_id: 2 }, [2, 3], [2, 3]],
    ['bos_token_id of config.json alone', {}, { bos_token_id: 2 }, [3], [2, 3]],
    ['a bos_token the tokenizer lacks', { add_bos_token: true, bos_token: '<x>' }, { bos_token_id: 2 }, [2, 3], [2, 3]],
    ['entries of the wrong type', { add_bos_token: 'yes', bos_token: 7 }, { bos_token_id: 2 }, [3], [2, 3]],
  ])('%s', async (_, tokenizerConfig, config, byDefault, forced) => {
    const path = folder({
      'tokenizer.json': wordLevel,
      'tokenizer_config.json': tokenizerConfig,
      'config.json': config,
    });
    expect(await ids(path, 'one')).toEqual(byDefault);
    expect(await ids(path, 'one', true)).toEqual(forced);
    expect(await ids(path, 'one', false)).toEqual([3]);
  });

  it('bos_token_id of genai_config.json', async () => {
    const path = folder({ 'tokenizer.json': wordLevel, 'genai_config.json': { model: { bos_token_id: 2 } } });
    expect(await ids(path, 'one')).toEqual([3]);
    expect(await ids(path, 'one', true)).toEqual([2, 3]);
  });

  it('is not put before nothing', async () => {
    expect(await load(folder(templated)).encode('', { bos: true })).toEqual({
      tokens: [],
      bos: false,
      prefix: 0,
      suffix: 0,
      lost: 0,
    });
    expect(await ids(folder(templated), ' \n ')).toEqual([]);
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
    const { tokens } = await load(folder({ 'tokenizer.json': bert })).encode('🙂 NAÏVE e\u0301', { bos: undefined });
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
    const { tokens } = await load(folder({ 'tokenizer.json': content })).encode('x    y', { bos: false });
    expect(tokens[0]).toMatchObject({ text: 'x', start: 0, end: 1 });
    expect(tokens.filter(({ start, end }) => start === end)).toEqual([]);
    expect(tokens.at(-1)).toMatchObject({ end: 6 });
  });

  it('a lone surrogate does not shift what follows', async () => {
    const tokenizer = load(join(root, 'media/models/llama'));
    const { tokens } = await tokenizer.encode('a\ud800🙂z', { bos: false });
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
      const { tokens } = await tokenizer.encode('ߡ', { bos: false });
      expect(tokens.slice(-2).map(({ text }) => text)).toEqual(['‹0xDF›', '‹0xA1›']);
    }
  });

  it('keeps leading spaces', async () => {
    for (const tokenizer of [byteLevel, sentencePiece]) {
      const { tokens } = await tokenizer.encode('in the end', { bos: false });
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

describe('fit to the model', () => {
  const tokenizer = load(join(root, 'media/models/llama'));

  it('takes a vocabulary of its size or larger', () => {
    expect(tokenizer.vocabularySize).toBe(8192);
    checkFit(tokenizer, 8192);
    checkFit(tokenizer, 8200);
  });

  it('refuses a smaller one', () => {
    const error = problem(() => checkFit(tokenizer, 8191));
    expect(error.code).toBe('tokenizer');
    expect(error.message).toMatch(/tokenizer\.json has 8192 tokens but the model knows only 8191: put/);
  });

  it('does not count tokens added to the vocabulary, which a text model may lack', () => {
    const added = { ...wordLevel, added_tokens: [...wordLevel.added_tokens, special(6, '<image>')] };
    checkFit(load(folder({ 'tokenizer.json': added })), 6);
  });

  it.each([[[0, 8192]], [[-1]], [[1.5]], [[Number.NaN]]])('refuses ids %j', (given) => {
    expect(problem(() => checkIds(given, 8192))).toMatchObject({ code: 'input' });
  });

  it('names the id and where it stands', () => {
    expect(problem(() => checkIds([5, 9000], 8192)).message).toBe(
      "Token 1 has id 9000, but the model's ids are whole numbers from 0 to 8191.",
    );
    checkIds([0, 8191], 8192);
    checkIds([1e9], undefined);
  });
});

describe('long texts', () => {
  const tokenizer = load(join(root, 'media/models/llama'));

  it('a document of megabytes keeps its places to the end', async () => {
    const line = 'The lamp was lit 🙂.\n';
    const text = line.repeat(100_000);
    const { tokens: one } = await tokenizer.encode(line, { bos: false });
    const { tokens } = await tokenizer.encode(text, { bos: false });
    const shift = text.length - line.length;
    expect(tokens).toHaveLength(one.length * 100_000);
    expect(tokens.slice(-one.length)).toEqual(
      one.map((token) => ({ ...token, start: token.start + shift, end: token.end + shift })),
    );
  });

  it('what no memory would hold is refused', async () => {
    const error = await tokenizer.encode('x'.repeat(2 ** 24 + 1), { bos: false }).catch((e) => e);
    expect(SinkscopeError.is(error, 'too-long')).toBe(true);
    expect(error.message).toContain('select a part');
  });
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

  it('a broken tokenizer_config.json is named', () => {
    const path = folder({ 'tokenizer.json': wordLevel, 'tokenizer_config.json': '{' });
    expect(problem(() => loadTokenizer(path))).toMatchObject({
      code: 'tokenizer',
      file: join(path, 'tokenizer_config.json'),
    });
  });
});
