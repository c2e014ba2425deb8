import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { machineCaches } from '../../../src/models/caches.js';
import { modelConfig } from '../../../src/models/config.js';
import { expandHome, findModels, findNamed, isMain } from '../../../src/models/find.js';
import { modelFolder } from '../../../src/models/folder.js';
import { modelFile } from '../../../src/models/named.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const temporary = mkdtempSync(join(tmpdir(), 'sinkscope-models-'));
afterAll(() => rmSync(temporary, { recursive: true }));

/** A fresh folder holding these files, by relative path. */
let trees = 0;
function tree(files: Record<string, string>): string {
  const folder = join(temporary, `tree${trees++}`);
  mkdirSync(folder);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}
const nowhere = join(temporary, 'nowhere');
const names = (models: readonly { name: string }[]) => models.map(({ name }) => name);

describe('findModels', () => {
  it('finds every file of every export, with name and size', async () => {
    const folder = tree({
      'gpt2/onnx/model.onnx': 'abc',
      'gpt2/onnx/model_q4.onnx': 'ab',
      'gpt2/onnx/model_q4.onnx_data': 'abcde',
      'gpt2/onnx/model_q4.onnx_data_1': 'a',
      'gpt2/tokenizer.json': '{}',
      'opt/decoder_model.onnx': '',
      'opt/decoder_with_past_model.onnx': '',
      'opt/decoder_model_merged.onnx': '',
      'genai/model.onnx': 'ab',
      'genai/model.onnx.data': 'abc',
      'genai/other.onnx.data': 'abc',
      'UPPER.ONNX': '',
      'notes.onnx.md': '',
    });
    const { models } = await findModels({ folders: [folder], settings: [], bundled: nowhere });
    const where = `tree${trees - 1}`;
    expect(models.map(({ name, bytes }) => [name, bytes])).toEqual([
      ['genai', 5],
      ['gpt2', 3],
      ['gpt2 · q4', 8],
      ['opt · decoder_model', 0],
      ['opt · decoder_model_merged', 0],
      ['opt · decoder_with_past_model', 0],
      [`${where} · UPPER`, 0],
    ]);
    expect(models[1]).toEqual({
      file: join(folder, 'gpt2/onnx/model.onnx'),
      name: 'gpt2',
      origin: 'workspace',
      bytes: 3,
    });
  });

  it('passes over packages, dot folders and what lies too deep', async () => {
    const folder = tree({
      'node_modules/a/model.onnx': '',
      '.git/model.onnx': '',
      '.cache/b/model.onnx': '',
      'venv/site-packages/c/model.onnx': '',
      '1/2/3/4/5/6/7/8/model.onnx': '',
      '1/2/3/4/5/6/7/8/9/model.onnx': '',
    });
    const { models, left } = await findModels({ folders: [folder], settings: [], bundled: nowhere });
    expect(names(models)).toEqual(['8']);
    expect(left).toEqual([`Folders more than 8 levels below ${folder} were not looked into; name one of them.`]);
  });

  it('ends with a bounded number, nearest first, and says so', async () => {
    const files = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`deep/er/${index}.onnx`, '']));
    const folder = tree({ ...files, 'near.onnx': '' });
    const { models, left } = await findModels({ folders: [folder], settings: [], bundled: nowhere });
    expect(left).toEqual([`Of the 601 models in ${folder}, the first 500 are listed; name the folder of another one.`]);
    expect(models).toHaveLength(500);
    expect(models.map(({ file }) => file)).toContain(join(folder, 'near.onnx'));
  });

  it('takes files and folders from the settings, each model once, under the first place it was found', async () => {
    const folder = tree({ 'a/model.onnx': '', 'b/model.onnx': '', 'b/readme.md': '' });
    const { models, left } = await findModels({
      folders: [folder, folder],
      settings: [join(folder, 'b'), join(folder, 'b/model.onnx'), join(folder, 'b/readme.md'), nowhere],
      bundled: nowhere,
    });
    expect(models.map(({ name, origin }) => [name, origin])).toEqual([
      ['b', 'settings'],
      ['a', 'workspace'],
    ]);
    expect(left).toEqual([]);
  });

  it('finds the four demo models that come with the extension, and their graphs with a cache', async () => {
    const { models } = await findModels({ folders: [], settings: [], bundled: join(root, 'media/models') });
    const demos = ['llama', 'llama-bias', 'llama-plain', 'llama-sink'];
    expect(names(models)).toEqual(demos.flatMap((name) => [name, `${name} · cached`]));
    for (const { origin, file, bytes } of models)
      expect([origin, isMain(file) ? bytes > 1e7 : bytes < 2e5]).toEqual(['bundled', true]);
  });

  it('follows links to files, not to folders, and leaves out those that lead nowhere', async () => {
    const folder = tree({ 'blobs/0a': 'abcd', 'here/x.txt': '' });
    symlinkSync(join(folder, 'blobs/0a'), join(folder, 'here/model.onnx'));
    symlinkSync(join(folder, 'gone'), join(folder, 'here/gone.onnx'));
    symlinkSync(folder, join(folder, 'here/loop'));
    mkdirSync(join(folder, 'folder.onnx'));
    const { models } = await findModels({ folders: [folder], settings: [], bundled: nowhere });
    expect(models.map(({ name, bytes }) => [name, bytes])).toEqual([['here', 4]]);
  });

  it('finds what other programs keep on this machine, a file of two versions once, under the names of repositories', async () => {
    const home = tree({
      '.cache/huggingface/hub/models--owner--name/blobs/1': 'abc',
      '.cache/huggingface/hub/models--owner--name/blobs/2': 'abcd',
      '.cache/huggingface/hub/models--owner--name/refs/main': 'bbb',
      '.cache/huggingface/hub/datasets--owner--name/snapshots/aaa/model.onnx': '',
      '.cache/huggingface/hub/models--owner--mobile/snapshots/aaa/cpu/int4/model.onnx': '',
      '.foundry/cache/models/Microsoft/Phi-4/v1/model.onnx': 'a',
      '.aitk/models/microsoft/Phi-3/cpu/int4/model.onnx': 'a',
      'project/node_modules/@huggingface/transformers/.cache/Xenova/gpt2/onnx/model_q4.onnx': 'a',
    });
    const repository = join(home, '.cache/huggingface/hub/models--owner--name');
    const link = (version: string, name: string, blob: string) => {
      mkdirSync(join(repository, 'snapshots', version, 'onnx'), { recursive: true });
      symlinkSync(`../../../blobs/${blob}`, join(repository, 'snapshots', version, 'onnx', name));
    };
    link('aaa', 'model.onnx', '1');
    link('aaa', 'model_q4.onnx', '2');
    link('bbb', 'model_q4.onnx', '2');
    const { models } = await findModels({
      folders: [join(home, 'project')],
      settings: [],
      bundled: nowhere,
      caches: machineCaches({}, home),
    });
    expect(models.map(({ name, origin, bytes }) => [name, origin, bytes])).toEqual([
      ['gpt2 · q4', 'workspace', 1],
      ['int4', 'machine', 1],
      ['owner/mobile/cpu/int4', 'machine', 0],
      ['owner/name', 'machine', 3],
      ['owner/name · q4', 'machine', 4],
      ['v1', 'machine', 1],
    ]);
    expect(models.find(({ name }) => name === 'owner/name · q4')?.file).toContain('/bbb/');
  });

  it('looks where the variables of Hugging Face say', () => {
    const where = (variables: Record<string, string>) => machineCaches(variables, '/home/me').hub;
    expect(where({})).toBe(join('/home/me', '.cache', 'huggingface', 'hub'));
    expect(where({ XDG_CACHE_HOME: '/cache' })).toBe(join('/cache', 'huggingface', 'hub'));
    expect(where({ XDG_CACHE_HOME: '/cache', HF_HOME: '~/hf' })).toBe(join('/home/me', 'hf', 'hub'));
    expect(where({ HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old' })).toBe('/old');
    expect(where({ HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/new' })).toBe('/new');
  });

  it('knows the home folder', () => {
    expect(expandHome('~/models')).toBe(join(homedir(), 'models'));
    expect(expandHome('~')).toBe(homedir());
    expect(expandHome('~other/models')).toBe('~other/models');
  });
});

describe('what settings name', () => {
  const bundled = join(root, 'media/models');
  const defaults = { model: 'llama', models: [] };
  const origins = ({ models }: { models: readonly { name: string; origin: string }[] }) =>
    models.filter(({ origin }) => origin !== 'bundled').map(({ name, origin }) => `${name}: ${origin}`);

  it('the name of a bundled model is no path, whatever a workspace has', async () => {
    const folder = tree({ 'llama/model.onnx': 'a', 'llama/more/b.onnx': 'b' });
    expect(origins(await findNamed(defaults, bundled, folder))).toEqual([]);
    expect(names((await findNamed(defaults, bundled, folder)).models)).toContain('llama');
  });

  it('a relative path starts from the folder, and nowhere without one', async () => {
    const folder = tree({ 'own/model.onnx': 'a' });
    const relative = { model: 'own', models: ['own', './own', 'own/model.onnx'] };
    expect(origins(await findNamed(relative, bundled, folder))).toEqual(['own: settings']);
    const before = process.cwd();
    process.chdir(folder);
    try {
      expect(origins(await findNamed(relative, bundled))).toEqual([]);
    } finally {
      process.chdir(before);
    }
  });

  it('an absolute path is where it is', async () => {
    const folder = tree({ 'own/model.onnx': 'a' });
    expect(origins(await findNamed({ model: join(folder, 'own'), models: [] }, bundled))).toEqual(['own: settings']);
  });
});

describe('modelFolder', () => {
  it('looks beside the model and, from a folder called onnx, one level up', () => {
    const folder = tree({
      'tokenizer.json': '',
      'config.json': '',
      'preprocessor_config.json': '',
      'onnx/config.json': '',
      'onnx/genai_config.json': '',
      'other/x': '',
    });
    expect(modelFolder(join(folder, 'onnx/model.onnx'))).toEqual({
      tokenizer: join(folder, 'tokenizer.json'),
      config: join(folder, 'onnx/config.json'),
      genaiConfig: join(folder, 'onnx/genai_config.json'),
      preprocessorConfig: join(folder, 'preprocessor_config.json'),
    });
    expect(modelFolder(join(folder, 'other/model.onnx'))).toEqual({});
  });
});

describe('modelConfig', () => {
  const read = (files: Record<string, unknown>) => {
    const content = Object.entries(files).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]);
    return modelConfig(join(tree(Object.fromEntries(content)), 'model.onnx'));
  };

  it('reads the demo model’s', () => {
    expect(modelConfig(join(root, 'media/models/llama/model.onnx'))).toEqual({
      context: 512,
      bosTokenId: 0,
      endTokenIds: [0],
      vocabulary: 8192,
      modelType: 'llama',
      ignored: [],
    });
  });

  it.each(['max_position_embeddings', 'n_positions', 'n_ctx', 'seq_length', 'max_sequence_length'])(
    'context from %s',
    (key) => {
      expect(read({ 'config.json': { [key]: 1024 } }).context).toBe(1024);
      expect(
        read({ 'config.json': { model_type: 'gemma3', text_config: { [key]: 1024, vocab_size: 9 } } }),
      ).toMatchObject({
        context: 1024,
        vocabulary: 9,
        modelType: 'gemma3',
      });
    },
  );

  it('reads genai_config.json, after config.json', () => {
    const genai = { model: { type: 'phi3', context_length: 4096, bos_token_id: 1, vocab_size: 32064 } };
    expect(read({ 'genai_config.json': genai })).toEqual({
      context: 4096,
      bosTokenId: 1,
      vocabulary: 32064,
      modelType: 'phi3',
      ignored: [],
    });
    expect(read({ 'genai_config.json': genai, 'config.json': { n_ctx: 7 } })).toMatchObject({
      context: 7,
      bosTokenId: 1,
    });
  });

  it('reads the names of classes in the order of their columns, and what they are for', () => {
    const id2label = { 1: 'B-PER', 0: 'O', 2: 7 };
    expect(read({ 'config.json': { id2label, problem_type: 'multi_label_classification' } })).toEqual({
      labels: ['O', 'B-PER', '7'],
      problemType: 'multi_label_classification',
      ignored: [],
    });
  });

  it('goes on without what is missing', () => {
    expect(read({})).toEqual({ ignored: [] });
    expect(read({ 'config.json': { bos_token_id: null } })).toEqual({ ignored: [] });
  });

  it.each<[string, unknown, RegExp]>([
    ['a string for a number', { n_positions: '1024' }, /config\.json: n_positions is "1024"/],
    ['an absurd number', { n_positions: 1e30 }, /n_positions is 1e\+30/],
    ['zero', { n_positions: 0 }, /n_positions is 0/],
    ['a negative id', { bos_token_id: -1 }, /bos_token_id is -1/],
    ['a list of ids', { bos_token_id: [1, 2] }, /bos_token_id is \[1,2\]/],
    ['a number for a string', { model_type: 7 }, /model_type is 7/],
    ['classes with a gap', { id2label: { 0: 'O', 2: 'B' } }, /id2label is .*it does not name every class/],
    ['a list', [1], /config\.json holds no JSON object/],
    ['a file that is cut off', '{"n_positions": 10', /config\.json is not valid JSON/],
    ['a huge file', `{"a": "${'x'.repeat(5e6)}"}`, /config\.json is larger \(5000009 bytes\)/],
  ])('ignores %s and says why', (_, config, reason) => {
    const { ignored, ...rest } = read({ 'config.json': config });
    expect(rest).toEqual({});
    expect(ignored).toHaveLength(1);
    expect(ignored[0]).toMatch(reason);
  });

  it('takes the next name where one is of the wrong type', () => {
    const config = read({ 'config.json': { max_position_embeddings: 'x', n_ctx: 12 } });
    expect(config.context).toBe(12);
    expect(config.ignored).toHaveLength(1);
  });
});

describe('a folder that is a model of another program is named', () => {
  it.each([
    [['Manifest.json', 'Data/com.apple.CoreML/model.mlmodel'], 'is a Core ML package (.mlpackage), not an ONNX model'],
    [['saved_model.pb', 'variables/variables.index'], 'is a SavedModel of TensorFlow, not an ONNX model'],
    [['openvino_model.xml'], 'is a model of OpenVINO, not'],
    [['config.json', 'model.safetensors.index.json'], 'is a model of transformers in safetensors files, not'],
    [['config.json'], 'is a folder without models'],
    [['saved_model.pb', 'a.onnx', 'b.onnx'], 'is a folder; give one of its models: a.onnx, b.onnx'],
  ])('%s', async (files, sentence) => {
    const folder = tree(Object.fromEntries(files.map((file) => [file, ''])));
    await expect(modelFile(folder)).rejects.toThrow(`${folder} ${sentence}`);
  });
});
