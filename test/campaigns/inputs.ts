/**
 * What a stranger may hand over, kind by kind. A kind is a recipe, which is plain data and can be made smaller, and
 * what is made of it: files, and what is asked about them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import type { Model } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { mutant } from '../zoo/mutate.js';
import {
  byteEdits,
  editBytes,
  editJpeg,
  editJson,
  editPng,
  editWire,
  hostileTexts,
  jsonEdits,
  partEdits,
  wireEdits,
} from './damage.js';
import { root } from './watch.js';

/** What stands in a file's place: a file by its bytes or as a copy, or something else than a file. */
export type Content = Uint8Array | { readonly copy: string } | { readonly special: Special };
export type Special = (typeof specials)[number];
const specials = ['pipe', 'folder', 'link to itself', 'link to endless zeros', 'nothing'] as const;

export type Prompt =
  | { readonly text: string }
  | { readonly ids: readonly number[] }
  /** Names of files. */
  | { readonly feeds: string }
  | { readonly image: string };

/** What is asked; files are named, all lie in one folder. */
export type Ask =
  | { readonly analyze: string; readonly prompt: Prompt; readonly save: boolean }
  | { readonly inspect: string }
  | { readonly merge: readonly string[] };

export interface Case {
  readonly files: Readonly<Record<string, Content>>;
  readonly ask: Ask;
}

interface Kind {
  readonly recipe: fc.Arbitrary<unknown>;
  made(recipe: unknown): Case;
}

/** A kind, checked where it is written: recipes come from nowhere but its own arbitrary. */
function kind<R>(recipe: fc.Arbitrary<R>, made: (recipe: R) => Case): Kind {
  return { recipe, made: (value) => made(value as R) };
}

const path = (file: string) => join(root, file);
const json = (file: string): unknown => JSON.parse(readFileSync(path(file), 'utf8'));

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

/** With a vocabulary into which every small tokenizer fits, and a prefix token. */
const llama: Record<string, Content> = Object.fromEntries(
  ['model.onnx', 'tokenizer.json', 'tokenizer_config.json', 'config.json'].map((name) => [
    name,
    { copy: path(`media/models/llama/${name}`) },
  ]),
);

const added = (id: number, content: string, special = true) => ({
  id,
  content,
  special,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
});
const plain = { version: '1.0', truncation: null, padding: null, post_processor: null };

/** Tokenizers of every model type, small. */
const tokenizers: Readonly<Record<string, unknown>> = {
  'byte-level': json('test/references/tokenizers/byte-level.json'),
  sentencepiece: json('test/references/tokenizers/sentencepiece.json'),
  unigram: {
    ...plain,
    added_tokens: [added(0, '<unk>')],
    normalizer: { type: 'NFKC' },
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: {
      type: 'Unigram',
      unk_id: 0,
      vocab: [['<unk>', 0], ...[...'▁abcdefghijklmnopqrstuvwxyz.,'].map((c, i) => [c, -2 - i / 10])],
    },
  },
  wordpiece: {
    ...plain,
    added_tokens: [added(0, '[UNK]')],
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
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(
        ['[UNK]', 'summer', 'is', 'warm', '.', 'w', '##inter', 's', '##now'].map((w, i) => [w, i]),
      ),
    },
  },
};

/** Parts of a tokenizer that are sound and made to take time or room. */
const costly: Readonly<Record<string, readonly unknown[]>> = {
  normalizer: [
    { type: 'Replace', pattern: { String: 'e' }, content: 'e'.repeat(100_000) },
    { type: 'Sequence', normalizers: Array(30).fill({ type: 'Replace', pattern: { String: 'a' }, content: 'aa' }) },
    { type: 'Prepend', prepend: '▁'.repeat(1_000_000) },
    { type: 'Replace', pattern: { Regex: '(a|a)*(a|a)*(a|a)*$' }, content: '' },
    { type: 'Precompiled', precompiled_charsmap: 'AAAAAP////8=' },
  ],
  pre_tokenizer: [
    { type: 'Split', pattern: { Regex: '(?=(a+)+b)' }, behavior: 'Isolated', invert: false },
    { type: 'Split', pattern: { Regex: '(?=(a+))a*b\\1' }, behavior: 'Isolated', invert: false },
    { type: 'Split', pattern: { Regex: '(.)\\1*(?<!x{1,50})(.*)*' }, behavior: 'Removed', invert: true },
    { type: 'Split', pattern: { Regex: '' }, behavior: 'Isolated', invert: false },
    { type: 'Sequence', pretokenizers: Array(10_000).fill({ type: 'Whitespace' }) },
  ],
  decoder: [{ type: 'Replace', pattern: { Regex: '(a+)+$' }, content: 'a'.repeat(100_000) }],
  post_processor: [
    {
      type: 'TemplateProcessing',
      single: Array(100_000).fill({ Sequence: { id: 'A', type_id: 0 } }),
      pair: [],
      special_tokens: {},
    },
  ],
};

const tokenizer = kind(
  fc.record({
    base: fc.constantFrom(...Object.keys(tokenizers)),
    damage: fc.oneof(
      { weight: 3, arbitrary: fc.record({ edits: jsonEdits }) },
      fc.record({ bytes: byteEdits }),
      fc.record({
        part: fc.constantFrom(
          ...Object.entries(costly).flatMap(([key, values]) => values.map((_, i) => [key, i] as const)),
        ),
      }),
      fc.record({
        content: fc.constantFrom(...hostileTexts),
        special: fc.boolean(),
        id: fc.constantFrom(0, 1, 700, 8191, 2 ** 31 - 1),
      }),
    ),
    text: fc.constantFrom('Summer is warm.\nWinter is cold — 42 €.', 'a'.repeat(100_000), 'e'.repeat(2000)),
    save: fc.boolean(),
  }),
  ({ base, damage, text, save }) => {
    const whole = tokenizers[base] as Record<string, unknown> & { added_tokens: object[] };
    const file =
      'edits' in damage
        ? Buffer.from(editJson(whole, damage.edits))
        : 'bytes' in damage
          ? editBytes(Buffer.from(JSON.stringify(whole)), damage.bytes)
          : Buffer.from(
              JSON.stringify(
                'part' in damage
                  ? { ...whole, [damage.part[0]]: costly[damage.part[0]]?.[damage.part[1]] }
                  : {
                      ...whole,
                      added_tokens: [...whole.added_tokens, added(damage.id, damage.content, damage.special)],
                    },
              ),
            );
    // Without the configuration, whose prefix token the small tokenizers do not have.
    return {
      files: { 'model.onnx': { copy: path('media/models/llama/model.onnx') }, 'tokenizer.json': file },
      ask: { analyze: 'model.onnx', prompt: { text }, save },
    };
  },
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

interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** A golden file's header, and the bytes behind it. */
function opened(file: string): { readonly header: Record<string, Tensor>; readonly data: Buffer } {
  const bytes = readFileSync(file);
  const end = 8 + Number(bytes.readBigUInt64LE());
  return { header: JSON.parse(bytes.toString('utf8', 8, end)), data: bytes.subarray(end) };
}

const feeds = kind(
  fc.record({
    base: fc.constantFrom('gnn-ts-op17', 'llama-dynamo-op23'),
    damage: fc.oneof(
      { weight: 3, arbitrary: fc.record({ header: jsonEdits, length: fc.constantFrom(0, 0, 0, 1, -1, 2 ** 40) }) },
      fc.record({ bytes: byteEdits }),
      { weight: 2, arbitrary: fc.record({ data: byteEdits }) },
      fc.record({ all: fc.constantFrom(0, -1, 1e-38, 1e19, 3e38, Number.NaN, Number.POSITIVE_INFINITY) }),
      fc.record({ special: fc.constantFrom(...specials) }),
    ),
    save: fc.boolean(),
  }),
  ({ base, damage, save }) => {
    const folder = path(`test/zoo/fixtures/${base}`);
    const file = join(folder, 'golden.safetensors');
    const { header, data } = opened(file);
    let content: Content;
    if ('special' in damage) content = damage;
    else if ('bytes' in damage) content = editBytes(readFileSync(file), damage.bytes);
    else if ('data' in damage)
      content = safetensors(JSON.stringify(header), editBytes(data, damage.data).subarray(0, data.length));
    else if ('all' in damage)
      content = safetensors(
        JSON.stringify(header),
        Buffer.from(new Float32Array(data.length >> 2).fill(damage.all).buffer),
      );
    else content = safetensors(editJson(header, damage.header), data, damage.length);
    return {
      files: { 'model.onnx': { copy: join(folder, 'model.onnx') }, 'feeds.safetensors': content },
      ask: { analyze: 'model.onnx', prompt: { feeds: 'feeds.safetensors' }, save },
    };
  },
);

/** @param longer what the header's length claims beyond what is there */
function safetensors(header: string, data: Uint8Array, longer = 0): Uint8Array {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Math.max(0, text.length + longer)));
  return Buffer.concat([length, text, data]);
}

/** What the header of an array says; `shape` is the right one. */
const npyHeaders = [
  (shape: string) => `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`,
  (shape: string) => `{'descr': '<f4', 'fortran_order': True, 'shape': ${shape}, }`,
  (shape: string) => `{'descr': '>f8', 'fortran_order': False, 'shape': ${shape}, }`,
  (shape: string) => `{'descr': '|O', 'fortran_order': False, 'shape': ${shape}, }`,
  () => `{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }`,
  () => `{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 14), }`,
  () => `{'descr': '<f4', 'shape': () }`,
  () => `{'descr': __import__('os'), 'shape': (1,)}`,
  () => '',
  () => '{'.repeat(60_000),
] as const;

const features = path('test/zoo/fixtures/gnn-ts-op17');

const npz = kind(
  fc.record({
    header: fc.nat(npyHeaders.length - 1),
    names: fc.array(fc.constantFrom(...hostileTexts), { maxLength: 2 }),
    zeros: fc.constantFrom(0, 0, 0, 0, 2 ** 20, 2 ** 26),
    damage: fc.oneof(
      fc.constant({}),
      { weight: 2, arbitrary: fc.record({ bytes: byteEdits }) },
      fc.record({ special: fc.constantFrom(...specials) }),
    ),
  }),
  ({ header, names, zeros, damage }) => {
    const { header: tensors, data } = opened(join(features, 'golden.safetensors'));
    const inputs = Object.entries(tensors).filter(([key]) => /^(adjacency|edge_features|node_features)$/.test(key));
    const arrays = inputs.map(([key, { shape, data_offsets }], i): [string, Uint8Array] => {
      const text = npyHeaders[i === 0 ? header : 0]?.(`(${shape.join(', ')},)`) ?? '';
      // As NumPy does, so that the numbers begin at a multiple of 64.
      const head = text.padEnd(64 * Math.ceil((text.length + 11) / 64) - 11);
      const length = Buffer.alloc(2);
      length.writeUInt16LE(Math.min(head.length + 1, 0xffff));
      const start = [Buffer.from('\x93NUMPY\x01\x00', 'latin1'), length, Buffer.from(`${head}\n`)];
      const rest = i === 0 ? Buffer.alloc(zeros) : Buffer.alloc(0);
      return [`${key}.npy`, Buffer.concat([...start, data.subarray(...data_offsets), rest])];
    });
    const extra = names.map((name): [string, Uint8Array] => [`${name}.npy`.slice(-60_000), Buffer.from(name)]);
    const archive = zipSync(Object.fromEntries([...arrays, ...extra]), { level: 1 });
    const content: Content =
      'special' in damage ? damage : 'bytes' in damage ? editBytes(archive, damage.bytes) : archive;
    return {
      files: { 'model.onnx': { copy: join(features, 'model.onnx') }, 'feeds.npz': content },
      ask: { analyze: 'model.onnx', prompt: { feeds: 'feeds.npz' }, save: false },
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

/** Two parts of a survey that make up a whole. */
export const parts = [0, 1].map((index) => ({
  survey: 2,
  settings: {
    model: { name: 'model.onnx', layers: 8, hidden: 256, bytes: 17_000_000, identity: 'ab'.repeat(32) },
    corpus: 'cd'.repeat(32),
    sequences: 6,
    length: 64,
    prefix: 0,
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
  tokenizer,
  config,
  picture,
  feeds,
  npz,
  text,
  ids,
  survey,
};
