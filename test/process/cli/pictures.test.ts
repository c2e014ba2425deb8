import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ResultJson } from '../../../src/analysis/result.js';
import references from '../../references/pictures.json';
import { at, pairs } from '../../support/lists.js';
import { analyze, fixture, path, printed, sinkscope } from './here.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const image = (name: string) => path(`test/references/images/${name}`);

/** Where the patches of 8 pixels lie, of a picture of 83 × 61 that became 32 × 32. */
const names = (prefix: string[], patches: number) => [
  ...prefix,
  ...Array.from({ length: patches }, (_, i) => `patch ${Math.floor(i / 4)},${i % 4}`),
];
const registers = (count: number) => Array.from({ length: count }, (_, i) => `register ${i + 1}`);
const expectedNames: Record<string, string[]> = {
  'dinov2_with_registers-dynamo-op18': names(['CLS', ...registers(3)], 16),
  'vit-ort-fused': names(['CLS'], 16),
  'vit_mae-ts-op17': names(['CLS'], 8),
};

describe.each(references)('analyze $fixture --image $file equals ONNX Runtime on transformers’ pixels', (reference) => {
  it('in names, numbers and attention', async () => {
    const model = join(folder, 'model.onnx');
    await copyFile(fixture(reference.fixture), model);
    await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify(reference.config));
    const result = await analyze(model, '--image', image(reference.file));
    expect(result.source).toBe('image');
    expect(result.picture).toMatchObject({ file: image(reference.file), ...reference.picture });
    expect(result.picture?.prepared?.at(-1)).toMatch(/^minus [\d., ]+, divided by /);
    expect(result.tokens.map(({ text }) => text)).toEqual(expectedNames[reference.fixture]);
    // A fused last norm leaves the file without the last hidden state, so ONNX Runtime alone cannot show it.
    const last = reference.fixture === 'vit-ort-fused' ? -1 : undefined;
    for (const [layer, expected] of pairs(result.layers.slice(0, last), reference.layers)) {
      expect(layer.median / expected.median).toBeCloseTo(1, 4);
      for (const [i, { value, token, dim }] of expected.top.entries()) {
        const entry = at(layer.top, i);
        expect(entry).toMatchObject({ token, dim });
        expect(entry.value / value).toBeCloseTo(1, 4);
      }
      expect(layer.token_max_dim).toEqual(expected.tokenMaxDim);
      for (const [max, wanted] of pairs(layer.token_max, expected.tokenMax)) expect(max / wanted).toBeCloseTo(1, 4);
    }
    for (const [heads, expected] of pairs(result.sinks.alpha, reference.alpha)) {
      for (const [row, wanted] of pairs(heads ?? undefined, expected))
        for (const [alpha, value] of pairs(row, wanted)) expect(alpha).toBeCloseTo(value, 5);
    }
  });
});

it('patches lie on the picture where the crop put them', async () => {
  const { config } = at(references, 0);
  const model = join(folder, 'model.onnx');
  await copyFile(fixture('vit-ort-fused'), model);
  await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify(config));
  const { tokens } = await analyze(model, '--image', image('rgb.png'));
  // 83 × 61 becomes 48 × 36; of that, 32 columns from the 8th and 32 rows from the 2nd, in patches of 8.
  const [x, y] = [83 / 48, 61 / 36];
  expect(tokens[0]).not.toHaveProperty('region');
  expect(tokens[1]).toMatchObject({ text: 'patch 0,0', region: { x: 8 * x, y: 2 * y, width: 8 * x, height: 8 * y } });
  const last = tokens[16] as { text: string; region?: { x: number; y: number } };
  expect(last.text).toBe('patch 3,3');
  expect([last.region?.x, last.region?.y]).toEqual([expect.closeTo(32 * x, 9), expect.closeTo(26 * y, 9)]);
});

describe('feeds', () => {
  /** An `.npy` file of format 1.0. */
  const npy = (descr: string, shape: readonly number[], data: Uint8Array): Uint8Array => {
    const dims = `${shape.join(', ')}${shape.length === 1 ? ',' : ''}`;
    const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`;
    const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
    const length = Buffer.alloc(2);
    length.writeUInt16LE(padded.length);
    return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), length, Buffer.from(padded), data]);
  };
  const floats = (count: number) => new Uint8Array(Float32Array.from({ length: count }, (_, i) => Math.sin(i)).buffer);
  const write = async (entries: Record<string, Uint8Array>): Promise<string> => {
    const file = join(folder, 'feeds.npz');
    await writeFile(file, zipSync(entries));
    return file;
  };
  const vit = fixture('vit-ort-fused');
  const why = async (...args: string[]) => {
    const { code, stdout, stderr } = await sinkscope('analyze', ...args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr.trimEnd()).not.toContain('\n');
    return stderr;
  };

  it('from .npz are as good as the same from safetensors', async () => {
    const pixels = floats(3 * 32 * 32);
    const npz = await write({ 'pixel_values.npy': npy('<f4', [1, 3, 32, 32], pixels) });
    const header = JSON.stringify({
      pixel_values: { dtype: 'F32', shape: [1, 3, 32, 32], data_offsets: [0, pixels.length] },
    });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const safetensors = join(folder, 'feeds.safetensors');
    await writeFile(safetensors, Buffer.concat([length, Buffer.from(header), pixels]));
    const [one, other] = [await analyze(vit, '--feeds', npz), await analyze(vit, '--feeds', safetensors)];
    expect(one.layers).toEqual(other.layers);
    expect(one.source).toBe('features');
    expect(one.tokens[16]?.text).toBe('token 16');
  });

  it('give every row a name, of the word that was given', async () => {
    const gnn = fixture('gnn-ts-op17');
    const feeds = ['--feeds', fixture('gnn-ts-op17', 'golden.safetensors'), '--token-name', 'node'];
    const result = await analyze(gnn, ...feeds);
    expect(result.tokens.map(({ text }) => text)).toEqual(at(result.layers, 0).token_max.map((_, i) => `node ${i}`));
    expect(await printed('analyze', gnn, ...feeds)).toMatch(/ on node \d+ at layer/);
  });

  it('of several examples need the axis that counts tokens, and the first example is analyzed', async () => {
    const pixels = floats(2 * 3 * 32 * 32);
    const both = await write({ 'pixel_values.npy': npy('<f4', [2, 3, 32, 32], pixels) });
    expect(await why(vit, '--feeds', both)).toMatch(/is \[2, 17, 64\].*--token-axis/);
    expect(await why(vit, '--feeds', both, '--token-axis', '3')).toMatch(/there is no axis 3/);
    const result = await analyze(vit, '--feeds', both, '--token-axis', '1');
    const across = await analyze(vit, '--feeds', both, '--token-axis', '0');
    const one = await write({ 'pixel_values.npy': npy('<f4', [1, 3, 32, 32], pixels.slice(0, pixels.length / 2)) });
    const alone = await analyze(vit, '--feeds', one);
    for (const [k, [first, layer]] of pairs(result.layers, alone.layers).entries()) {
      expect(first.token_max_dim).toEqual(layer.token_max_dim);
      expect(first.median / layer.median).toBeCloseTo(1, 5);
      const { token_max } = at(across.layers, k);
      expect(token_max).toHaveLength(2);
      expect(at(token_max, 0) / at(layer.token_max, 0)).toBeCloseTo(1, 5);
    }
    const flat = (json: ResultJson) => json.sinks.alpha.flat(2).map((alpha) => expect.closeTo(alpha ?? Number.NaN, 5));
    expect(result.sinks.alpha.flat(2)).toEqual(flat(alone));
  });

  it.each<[string, () => Record<string, Uint8Array>, RegExp]>([
    [
      'of another type',
      () => ({ 'pixel_values.npy': npy('<f8', [1, 3, 32, 32], new Uint8Array(8 * 3072)) }),
      /float32/,
    ],
    ['of another shape', () => ({ 'pixel_values.npy': npy('<f4', [1, 3, 16, 16], floats(768)) }), /\[1, 3, 16, 16\]/],
    ['of complex numbers', () => ({ 'pixel_values.npy': npy('<c8', [4], new Uint8Array(32)) }), /feeds\.npz/],
    ['that are cut off', () => ({ 'pixel_values.npy': npy('<f4', [1, 3, 32, 32], floats(9)) }), /feeds\.npz/],
    ['that claim a size beyond memory', () => ({ 'pixel_values.npy': npy('<f4', [2 ** 40], floats(1)) }), /feeds\.npz/],
    ['for no input', () => ({ 'other.npy': npy('<f4', [1], floats(1)) }), /inputs: pixel_values/],
  ])('%s are refused', async (_, entries, message) => {
    expect(await why(vit, '--feeds', await write(entries()))).toMatch(message);
  });

  it('packed into a bomb are refused before they are unpacked', async () => {
    const file = await write({ 'pixel_values.npy': npy('<f4', [1, 3, 32, 32], floats(3072)) });
    const bytes = await readFile(file);
    // Size before packing, in the central directory: 3 GB.
    bytes.writeUInt32LE(3e9, bytes.lastIndexOf(Buffer.from('PK\x01\x02', 'latin1')) + 24);
    await writeFile(file, bytes);
    expect(await why(vit, '--feeds', file)).toMatch(/its arrays unfold to more than the 1073741824 bytes/);
  });

  it('that are no archive are refused', async () => {
    const file = join(folder, 'feeds.npz');
    await writeFile(file, 'no archive');
    expect(await why(vit, '--feeds', file)).toMatch(/feeds\.npz is not a readable \.npz file/);
  });
});

describe('a picture that cannot be analyzed ends with one sentence', () => {
  const vit = fixture('vit-ort-fused');
  it.each<[string, string, () => Promise<string | Uint8Array>, RegExp]>([
    ['no picture', vit, async () => 'a text', /picture\.png is no picture that is read/],
    ['cut off', vit, async () => (await readFile(image('rgb.png'))).subarray(0, 2000), /picture\.png is a broken/],
    ['for a text model', 'llama', () => readFile(image('rgb.png')), /takes no picture.*vision model/],
    ['for a graph transformer', fixture('gnn-ts-op17'), () => readFile(image('rgb.png')), /takes no picture/],
  ])('%s', async (_, model, content, message) => {
    const file = join(folder, 'picture.png');
    await writeFile(file, await content());
    const { code, stdout, stderr } = await sinkscope('analyze', model, '--image', file);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it('preprocessing that does not fit the model', async () => {
    const model = join(folder, 'model.onnx');
    await copyFile(vit, model);
    await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify({ size: 48 }));
    const { code, stderr } = await sinkscope('analyze', model, '--image', image('rgb.png'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/makes pictures of 48 × 48 pixels, but the model takes 32 × 32/);
  });
});
