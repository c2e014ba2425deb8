/** What a stranger may hand over, kind by kind. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Model } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { mutant } from '../zoo/mutate.js';
import { type Content, json, type Kind, kind, path, specials } from './case.js';
import { byteEdits, editBytes, editJson, editWire, hostileTexts, jsonEdits, wireEdits } from './damage.js';
import { editJpeg, editPng, partEdits } from './pictures.js';
import { feeds, npz } from './tensors.js';
import { tokenizer } from './tokenizers.js';

/** Small graphs in very different forms. */
const fixtures = [
  'fixtures/bert-ort-fused',
  'fixtures/gpt2-ort-attention-past',
  'fixtures/gpt2-optimum-merged',
  'fixtures/gpt2-int8-dynamic',
  'fixtures/gpt2-qdq-static',
  'fixtures/llama-dynamo-op18-ext',
  'fixtures/llama-dynamo-op23',
  'fixtures/llama-genai-fp32',
  'fixtures/llama-tfjs-q4',
  'fixtures/qwen2-genai-int4',
  'fixtures/gpt_oss-dynamo-op18',
  'fixtures/vit-ort-fused',
  'fixtures/gnn-ts-op17',
  'families/module-functions',
  'families/operator-gqa-sink',
] as const;

const read = new Map<string, Model>();
/** A fixture's structure, read once. */
function structure(file: string): Model {
  const model = read.get(file) ?? readModel(file);
  read.set(file, model);
  return model;
}

/** The files beside a fixture's model that belong to it. */
function beside(folder: string): Record<string, Content> {
  const names = readdirSync(folder).filter((name) => name !== 'fixture.json');
  return Object.fromEntries(names.map((name) => [name, { copy: join(folder, name) }]));
}

const model = kind(
  fc.record({
    base: fc.constantFrom(...fixtures),
    damage: fc.oneof(fc.record({ mutant: fc.noShrink(fc.nat()) }), {
      weight: 2,
      arbitrary: fc.record({ wire: wireEdits }),
    }),
    ask: fc.constantFrom('analyze', 'save', 'inspect'),
  }),
  ({ base, damage, ask }) => {
    const folder = path(`test/zoo/${base}`);
    const file = join(folder, 'model.onnx');
    const bytes = readFileSync(file);
    const damaged =
      'wire' in damage ? editWire(bytes, damage.wire) : mutant(bytes, structure(file), folder, damage.mutant);
    const prompt = { feeds: 'golden.safetensors' };
    return {
      // Mutants take their weights from the model as it was.
      files: { ...beside(folder), 'damaged.onnx': damaged },
      ask: ask === 'inspect' ? { inspect: 'damaged.onnx' } : { analyze: 'damaged.onnx', prompt, save: ask === 'save' },
    };
  },
);

const withData = ['llama-dynamo-op18-ext', 'llama-genai-fp32', 'qwen2-genai-int4'] as const;

/** What lies beside a model: its weights. */
const data = kind(
  fc.record({
    base: fc.constantFrom(...withData),
    damage: fc.oneof(
      { weight: 2, arbitrary: fc.record({ bytes: byteEdits }) },
      fc.record({ special: fc.constantFrom(...specials) }),
    ),
    save: fc.boolean(),
  }),
  ({ base, damage, save }) => {
    const folder = path(`test/zoo/fixtures/${base}`);
    const content: Content =
      'bytes' in damage ? editBytes(readFileSync(join(folder, 'model.onnx.data')), damage.bytes) : damage;
    return {
      files: { ...beside(folder), 'model.onnx.data': content },
      ask: { analyze: 'model.onnx', prompt: { feeds: 'golden.safetensors' }, save },
    };
  },
);

/** With a vocabulary into which every small tokenizer fits, and a prefix token. */
const llama: Record<string, Content> = Object.fromEntries(
  ['model.onnx', 'tokenizer.json', 'tokenizer_config.json', 'config.json'].map((name) => [
    name,
    { copy: path(`media/models/llama/${name}`) },
  ]),
);

const preprocessing = {
  size: { height: 32, width: 32 },
  resample: 3,
  do_resize: true,
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
};
const vision: Record<string, Content> = {
  'model.onnx': { copy: path('test/zoo/fixtures/vit-ort-fused/model.onnx') },
  'preprocessor_config.json': Buffer.from(JSON.stringify(preprocessing)),
};
const pictures = readdirSync(path('test/references/images'));

const configurations: Readonly<Record<string, unknown>> = {
  'config.json': json('media/models/llama/config.json'),
  'tokenizer_config.json': json('media/models/llama/tokenizer_config.json'),
  'generation_config.json': { bos_token_id: 0, eos_token_id: [0, 1] },
  'genai_config.json': { model: { type: 'llama', context_length: 512, bos_token_id: 0, vocab_size: 8192 } },
  'preprocessor_config.json': preprocessing,
};

const config = kind(
  fc.record({
    file: fc.constantFrom(...Object.keys(configurations)),
    damage: fc.oneof(
      { weight: 4, arbitrary: fc.record({ edits: jsonEdits }) },
      { weight: 2, arbitrary: fc.record({ bytes: byteEdits }) },
      fc.record({ special: fc.constantFrom(...specials) }),
    ),
  }),
  ({ file, damage }) => {
    const whole = configurations[file];
    const content: Content =
      'edits' in damage
        ? Buffer.from(editJson(whole, damage.edits))
        : 'bytes' in damage
          ? editBytes(Buffer.from(JSON.stringify(whole)), damage.bytes)
          : { special: damage.special };
    if (file === 'preprocessor_config.json') {
      const picture = { copy: path('test/references/images/rgb.png') };
      const prompt = { image: 'picture.png' };
      return {
        files: { ...vision, [file]: content, 'picture.png': picture },
        ask: { analyze: 'model.onnx', prompt, save: false },
      };
    }
    const prompt = { text: 'Summer is warm. Winter is cold.' };
    return { files: { ...llama, [file]: content }, ask: { analyze: 'model.onnx', prompt, save: false } };
  },
);

const picture = kind(
  fc.record({
    base: fc.constantFrom(...pictures),
    damage: fc.oneof({ weight: 2, arbitrary: fc.record({ parts: partEdits }) }, fc.record({ bytes: byteEdits }), {
      weight: 1,
      arbitrary: fc.record({ parts: partEdits, bytes: byteEdits }),
    }),
    name: fc.constantFrom('picture.png', 'picture.jpg', 'picture'),
  }),
  ({ base, damage, name }) => {
    const file = readFileSync(path(`test/references/images/${base}`));
    const editContainer = base.endsWith('.png') ? editPng : editJpeg;
    const parted = 'parts' in damage ? editContainer(file, damage.parts) : file;
    const content = 'bytes' in damage ? editBytes(parted, damage.bytes) : parted;
    return {
      files: { ...vision, [name]: content },
      ask: { analyze: 'model.onnx', prompt: { image: name }, save: false },
    };
  },
);

const text = kind(
  fc.record({
    parts: fc.array(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'grapheme' }),
        fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
        fc.constantFrom(...hostileTexts),
        fc.constantFrom('<|endoftext|>', '<|sink|>', '\n', '    ', 'word '),
      ),
      { minLength: 1, maxLength: 12 },
    ),
    times: fc.constantFrom(1, 1, 1, 1, 1000, 20_000),
    save: fc.boolean(),
  }),
  ({ parts, times, save }) => {
    const once = parts.join('');
    const text = once.repeat(Math.min(times, Math.ceil(1_000_000 / (1 + once.length))));
    return { files: llama, ask: { analyze: 'model.onnx', prompt: { text }, save } };
  },
);

const ids = kind(
  fc.record({
    ids: fc.array(
      fc.oneof(
        { weight: 100, arbitrary: fc.nat(8191) },
        fc.constantFrom(-1, 8192, 2 ** 31, 2 ** 53, 1e30, 0.5, Number.NaN, Number.POSITIVE_INFINITY, -0),
      ),
      { maxLength: 600 },
    ),
    save: fc.boolean(),
  }),
  ({ ids, save }) => ({ files: llama, ask: { analyze: 'model.onnx', prompt: { ids }, save } }),
);

const sample = readFileSync(path('media/sample.md'));

const corpus = kind(
  fc.record({
    entries: fc.array(
      fc.record({
        name: fc.constantFrom(
          'a.txt',
          'b.md',
          'C.TXT',
          'd.png',
          '\u001b[31me.txt',
          '\u202etxt.f.md',
          '[g](command:g).md',
        ),
        content: fc.oneof(
          { weight: 2, arbitrary: fc.record({ bytes: byteEdits }) },
          { weight: 4, arbitrary: fc.record({ times: fc.constantFrom(0, 1, 1, 1, 1000) }) },
          { weight: 2, arbitrary: fc.record({ special: fc.constantFrom(...specials) }) },
        ),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  }),
  ({ entries }) => {
    const texts = entries.map(({ name, content }): [string, Content] => {
      if ('special' in content) return [`corpus/${name}`, content];
      const text =
        'bytes' in content ? editBytes(sample, content.bytes) : Buffer.alloc(content.times * sample.length, sample);
      return [`corpus/${name}`, text];
    });
    return { files: { ...llama, ...Object.fromEntries(texts) }, ask: { survey: 'model.onnx', corpus: 'corpus' } };
  },
);

/** Two parts of a survey that make up a whole. */
export const parts = [0, 1].map((index) => ({
  survey: 3,
  settings: {
    model: { name: 'model.onnx', stream: '', layers: 8, hidden: 256, bytes: 17_000_000, identity: 'ab'.repeat(32) },
    corpus: 'cd'.repeat(32),
    sequences: 6,
    length: 64,
    prefix: 0,
    lineEnds: 'lf',
    thresholds: { absolute: 100, ratio: 1000, soft: 50 },
  },
  shard: { index, of: 2 },
  records: [0, 2, 4].map((sequence) => ({
    sequence: sequence + index,
    entries: [
      { dim: 17, kind: 'start', token: '<|endoftext|>', value: 312.5, massive: true },
      { dim: 99, kind: 'other', token: ',', value: -51.25, massive: false },
    ],
  })),
  file: 'corpus.txt',
}));

const survey = kind(
  fc.record({
    damage: fc.oneof(
      { weight: 4, arbitrary: fc.record({ edits: jsonEdits }) },
      fc.record({ bytes: byteEdits }),
      fc.record({ of: fc.constantFrom(0, -1, 3, 2e8, 4e9, 1e15) }),
      fc.record({ special: fc.constantFrom(...specials) }),
    ),
    /** The same edits on both parts: they still belong together. */
    both: fc.boolean(),
  }),
  ({ damage, both }) => {
    const [first, second] = parts.map((part, index): Content => {
      const whole = Buffer.from(JSON.stringify(part));
      if (index > 0 && !both) return whole;
      if ('edits' in damage) return Buffer.from(editJson(part, damage.edits));
      if ('bytes' in damage) return editBytes(whole, damage.bytes);
      if ('of' in damage) return Buffer.from(JSON.stringify({ ...part, shard: { index, of: damage.of } }));
      return damage;
    });
    const files = { ...(first && { 'one.json': first }), ...(second && { 'two.json': second }) };
    return { files, ask: { merge: ['one.json', 'two.json'] } };
  },
);

/** Every kind of input, by name. */
export const kinds: Readonly<Record<string, Kind>> = {
  model,
  data,
  tokenizer,
  config,
  picture,
  feeds,
  npz,
  text,
  ids,
  corpus,
  survey,
};
