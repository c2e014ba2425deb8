import { describe, expect, it, test } from 'vitest';
import { inside } from '../../../src/hub/cache.js';
import { type HubFile, isSafePath, modelsOf, repositoryOf } from '../../../src/hub/repository.js';
import { hubOf } from '../../../src/hub/server.js';
import { besideModel } from '../../../src/models/folder.js';

const hub = 'https://huggingface.co';

describe('a repository', () => {
  test.each([
    ['owner/name', { id: 'owner/name', revision: 'main' }],
    [' onnx-community/Qwen2.5-0.5B ', { id: 'onnx-community/Qwen2.5-0.5B', revision: 'main' }],
    ['owner/name@v1.0', { id: 'owner/name', revision: 'v1.0' }],
    ['https://huggingface.co/owner/name', { id: 'owner/name', revision: 'main' }],
    ['huggingface.co/owner/name/', { id: 'owner/name', revision: 'main' }],
    ['https://hf.co/owner/name/tree/dev/onnx', { id: 'owner/name', revision: 'dev' }],
    [
      'https://huggingface.co/owner/name/resolve/main/onnx/model_q4.onnx?download=true',
      { id: 'owner/name', revision: 'main', file: 'onnx/model_q4.onnx' },
    ],
    [
      'https://huggingface.co/owner/name/blob/0123/a%20b.onnx',
      { id: 'owner/name', revision: '0123', file: 'a b.onnx' },
    ],
  ])('is named by %s', (words, expected) => {
    expect(repositoryOf(words, hub)).toEqual(expected);
  });

  it('is named by an address of another hub, with a path of its own', () => {
    const mirror = 'https://mirror.example/hf';
    expect(repositoryOf('https://mirror.example/hf/owner/name', mirror).id).toBe('owner/name');
    expect(repositoryOf('https://huggingface.co/owner/name', mirror).id).toBe('owner/name');
  });

  test.each([
    ['', /is no name of a model repository/],
    ['gpt2', /is no name of a model repository/],
    ['a/b/c', /is no name of a model repository/],
    ['../name', /is no name of a model repository/],
    ['owner/..', /is no name of a model repository/],
    ['a--b/name', /is no name of a model repository/],
    ['owner/name@../../x', /names no revision/],
    ['https://example.com/owner/name', /is not on huggingface\.co/],
    ['https://huggingface.co/datasets/owner/name', /is no model repository/],
    ['https://huggingface.co/owner/name/blob/main/..%2f..%2fx.onnx', /names a file that leads out of its folder/],
    ['https://huggingface.co/%/name', /is no address/],
  ])('is not named by %j', (words, why) => {
    expect(() => repositoryOf(words, hub)).toThrow(why);
  });
});

const outside = [
  '',
  '.',
  '..',
  'a/../b',
  '/a',
  'a//b',
  'a/',
  'a\\b',
  'C:a',
  'a/..\u0000',
  'a. ',
  'a/b.',
  '...',
  'a\nb',
  'x'.repeat(256),
];

it.each(outside)('the path %j is of no file that is written', (path) => {
  expect(isSafePath(path)).toBe(false);
});

it('a path is held inside its folder, whatever it is', () => {
  expect(inside('/cache/a', 'b/c.onnx')).toMatch(/[/\\]cache[/\\]a[/\\]b[/\\]c\.onnx$/);
  for (const path of ['..', '../ab/c', 'b/../../c', '', '.']) expect(() => inside('/cache/a', path)).toThrow(/refused/);
});

it('of a model are its weights, and what tells about it beside it or above its folder `onnx`', () => {
  const names = [
    'config.json',
    'tokenizer.json',
    'vocab.json',
    'onnx/model.onnx',
    'onnx/model.onnx_data',
    'onnx/model.onnx_data_1',
    'onnx/model_q4f16.onnx',
    'onnx/config.json',
    'cpu/int4/model.onnx',
    'cpu/int4/model.onnx.data',
    'cpu/int4/genai_config.json',
    'model.safetensors',
  ];
  const files = names.map((path, i): HubFile => ({ path, size: 10 ** i, checksum: { kind: 'git', hex: 'a' } }));
  const listing = { repository: { id: 'owner/name', revision: 'main' }, commit: 'a', files, refused: 0 };
  const models = modelsOf(listing, besideModel);
  expect(models.map((model) => [model.path, model.precision, model.files.map(({ path }) => path).slice(1)])).toEqual([
    ['cpu/int4/model.onnx', undefined, ['cpu/int4/model.onnx.data', 'cpu/int4/genai_config.json']],
    ['onnx/model_q4f16.onnx', '4-bit weights, fp16', ['config.json', 'tokenizer.json', 'onnx/config.json']],
    [
      'onnx/model.onnx',
      undefined,
      ['config.json', 'tokenizer.json', 'onnx/model.onnx_data', 'onnx/model.onnx_data_1', 'onnx/config.json'],
    ],
  ]);
  expect(models[1]?.bytes).toBe(1 + 10 + 10 ** 6 + 10 ** 7);
});

it('the hub is that of the setting, of the environment, or Hugging Face’s, and is not asked where that is forbidden', () => {
  expect(hubOf({}).endpoint).toBe(hub);
  expect(hubOf({ HF_ENDPOINT: 'http://a.example/', HF_TOKEN: ' t ' })).toEqual({
    endpoint: 'http://a.example',
    token: 't',
  });
  expect(hubOf({ HF_ENDPOINT: 'http://a.example' }, 'https://b.example').endpoint).toBe('https://b.example');
  expect(() => hubOf({ HF_ENDPOINT: 'ftp://a' })).toThrow(/is no address of a model hub/);
  expect(() => hubOf({ HF_HUB_OFFLINE: '1' })).toThrow(/HF_HUB_OFFLINE is set/);
});
