/** Tensors from strangers. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { type Content, kind, path, specials } from './case.js';
import { byteEdits, editBytes, editJson, hostileTexts, jsonEdits } from './damage.js';

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

export const feeds = kind(
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

export const npz = kind(
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
