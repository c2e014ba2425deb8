import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { encode, folder, ids, load, root, template, wordLevel } from './support.js';

describe('the demo models', () => {
  it.each([
    ['llama', 0],
    ['llama-sink', 1],
    ['llama-plain', undefined],
    ['llama-bias', undefined],
  ])('%s has token %s in front by default', async (name, id) => {
    const tokenizer = load(join(root, 'media/models', name, 'model.onnx'));
    const { tokens, bos } = await encode(tokenizer, 'Once upon a time', { bos: undefined });
    const plain = await encode(tokenizer, 'Once upon a time', { bos: false });
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
    const { tokens } = await encode(load(folder(templated)), '<s>one', { bos: true });
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
    expect(await encode(load(folder(templated)), '', { bos: true })).toEqual({
      tokens: [],
      bos: false,
      prefix: 0,
      suffix: 0,
      lost: 0,
      changed: 0,
    });
    expect(await ids(folder(templated), ' \n ')).toEqual([]);
  });
});
