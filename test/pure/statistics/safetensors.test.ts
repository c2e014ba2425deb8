import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { partialFile } from '../../../src/saving.js';
import { openSafetensors, SafetensorsWriter } from '../../../src/statistics/safetensors.js';
import { goldensFile } from './goldens.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

async function problem(promise: Promise<unknown>): Promise<SinkscopeError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SinkscopeError)) throw new Error('expected a SinkscopeError', { cause: error });
  return error;
}

describe('a file written by the reference implementation', () => {
  it('gives every type and shape', async () => {
    const file = await openSafetensors(goldensFile);
    expect(file.names).toContain('even.values');
    const i64 = await file.tensor('type.i64');
    expect(i64.dtype).toBe('I64');
    expect(i64.shape).toEqual([2, 3]);
    expect([...new BigInt64Array(i64.bytes.buffer)]).toEqual([1n, -2n, 2n ** 53n + 1n, 0n, 7n, -(2n ** 60n)]);
    expect([...new Int32Array((await file.tensor('type.i32')).bytes.buffer)]).toEqual([3, -4]);
    expect([...(await file.tensor('type.bool')).bytes]).toEqual([1, 0, 1]);
    expect([...new Float64Array((await file.tensor('type.f64')).bytes.buffer)]).toEqual([0.1, -1e300]);
    const scalar = await file.tensor('type.scalar');
    expect(scalar.shape).toEqual([]);
    expect([...new Float32Array(scalar.bytes.buffer)]).toEqual([2.5]);
    const empty = await file.tensor('type.empty');
    expect(empty.shape).toEqual([0, 4]);
    expect(empty.bytes).toHaveLength(0);
    expect((await file.tensor('half.bf16')).dtype).toBe('BF16');
  });

  it('says which tensor it does not have', async () => {
    const error = await problem((await openSafetensors(goldensFile)).tensor('hidden.99'));
    expect(error.code).toBe('input');
    expect(error.message).toContain('"hidden.99"');
  });
});

/** A file with this header and this many bytes of data. */
function bytes(header: unknown, data: number, claimed?: bigint): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(data)]);
}

const entry = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype: unknown = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe('a bad file', () => {
  it.each<[string, Buffer, string]>([
    ['empty', Buffer.alloc(0), 'shorter than the eight bytes'],
    ['with a header longer than the file', bytes({}, 0, 1000n), 'claims 1000 bytes'],
    ['with an absurd header length', bytes({}, 0, 2n ** 64n - 1n), 'claims'],
    ['whose header is not JSON', bytes('{"a":', 0), 'not JSON'],
    ['whose header is not UTF-8', Buffer.concat([bytes('{"', 0, 3n), Buffer.of(0xff)]), 'not JSON'],
    ['whose header is a list', bytes([], 0), 'not a JSON object'],
    ['with an entry that is no object', bytes({ a: 7 }, 0), 'entry for tensor "a" is malformed'],
    ['with a negative extent', bytes({ a: entry(0, 4, [-1]) }, 4), 'malformed'],
    ['with a fractional extent', bytes({ a: entry(0, 4, [0.5]) }, 4), 'malformed'],
    ['with an unknown type', bytes({ a: entry(0, 4, [1], 'Q9') }, 4), 'type Q9'],
    ['with a type named like a property', bytes({ a: entry(0, 4, [1], 'constructor') }, 4), 'type constructor'],
    ['whose shape needs more than it has', bytes({ a: entry(0, 4, [2]) }, 4), 'needs 8 bytes for its shape and has 4'],
    ['whose shape overflows', bytes({ a: entry(0, 0, [2 ** 52, 2 ** 52, 2 ** 52]) }, 0), 'for its shape'],
    ['with offsets beyond its end', bytes({ a: entry(0, 8) }, 4), 'cut off'],
    ['with reversed offsets', bytes({ a: entry(8, 4) }, 8), 'malformed'],
    ['with overlapping tensors', bytes({ a: entry(0, 8), b: entry(4, 12) }, 12), 'tensor "b" overlaps'],
    ['with a gap', bytes({ a: entry(0, 4), b: entry(8, 12) }, 12), 'gap before tensor "b"'],
    ['with bytes of no tensor at its end', bytes({ a: entry(0, 4) }, 9), '5 bytes at its end'],
  ])('%s is refused by name and cause', async (_, content, why) => {
    const file = join(folder, 'bad.safetensors');
    await writeFile(file, content);
    const error = await problem(openSafetensors(file));
    expect(error.code).toBe('file');
    expect(error.file).toBe(file);
    expect(error.message).toContain(file);
    expect(error.message).toContain(why);
  });

  it('that is missing or a folder is refused', async () => {
    expect((await problem(openSafetensors(join(folder, 'none.safetensors')))).message).toContain('no such file');
    expect((await problem(openSafetensors(folder))).message).toContain('no ordinary file');
  });

  it('that shrinks after it was opened is refused', async () => {
    const file = join(folder, 'shrinking.safetensors');
    await writeFile(file, bytes({ a: entry(0, 400) }, 400));
    const opened = await openSafetensors(file);
    await writeFile(file, bytes({ a: entry(0, 400) }, 8));
    expect((await problem(opened.tensor('a'))).message).toContain('ended while it was being read');
  });
});

describe('SafetensorsWriter', () => {
  it('writes what the format asks for, in the order of appending', async () => {
    const file = join(folder, 'out.safetensors');
    const writer = await SafetensorsWriter.create(file, ['hidden.0', 'attn.0', 'never', 'täg"']);
    await writer.append('hidden.0', [2, 2], Float32Array.of(1, 2, 3, 4));
    await writer.append('attn.0', [3], [Float32Array.of(5), Float32Array.of(9, 6, 7).subarray(1)]);
    await writer.append('täg"', [], Float32Array.of(8));
    await writer.finish();

    // Read by the letter of the format, without our reader.
    const content = await readFile(file);
    const headerLength = Number(content.readBigUInt64LE());
    expect(headerLength % 8).toBe(0);
    const header: unknown = JSON.parse(content.toString('utf8', 8, 8 + headerLength));
    expect(header).toEqual({
      'hidden.0': { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
      'attn.0': { dtype: 'F32', shape: [3], data_offsets: [16, 28] },
      'täg"': { dtype: 'F32', shape: [], data_offsets: [28, 32] },
    });
    const data = content.subarray(8 + headerLength);
    expect(data).toHaveLength(32);
    expect([...Array(8).keys()].map((i) => data.readFloatLE(4 * i))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(await readdir(folder)).toEqual(['out.safetensors']);
    expect((await (await openSafetensors(file)).tensor('attn.0')).shape).toEqual([3]);
  });

  it('has room for the longest header that can come', async () => {
    const file = join(folder, 'out.safetensors');
    const writer = await SafetensorsWriter.create(file, ['a']);
    await writer.append('a', [0, 2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1], new Float32Array(0));
    await writer.finish();
    expect((await openSafetensors(file)).names).toEqual(['a']);
  });

  it('removes what it wrote when the disk is full, and leaves the older file', async () => {
    const file = join(folder, 'out.safetensors');
    await writeFile(file, 'older');
    const writer = await SafetensorsWriter.create(file, ['a', 'b']);
    await writer.append('a', [1], Float32Array.of(1));
    const handle = await open(goldensFile);
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    vi.spyOn(Object.getPrototypeOf(handle), 'write').mockRejectedValue(full);
    await handle.close();
    const error = await problem(writer.append('b', [1], Float32Array.of(2)));
    expect(error.code).toBe('save');
    expect(error.file).toBe(file);
    expect(error.message).toContain('the disk is full');
    expect(await readdir(folder)).toEqual(['out.safetensors']);
    expect(await readFile(file, 'utf8')).toBe('older');
  });

  it('says that the folder is missing, before anything is computed', async () => {
    const file = join(folder, 'none', 'out.safetensors');
    const error = await problem(SafetensorsWriter.create(file, []));
    expect(error.code).toBe('save');
    expect(error.message).toMatch(/the folder .*none does not exist; make it first, or save elsewhere/);
  });

  it('fails whole where the name is taken by a folder', async () => {
    const file = join(folder, 'taken');
    const writer = await SafetensorsWriter.create(file, []);
    await mkdir(file);
    expect((await problem(writer.finish())).code).toBe('save');
    expect(await readdir(folder)).toEqual(['taken']);
  });

  it('leaves nothing behind when given up', async () => {
    const file = join(folder, 'out.safetensors');
    const writer = await SafetensorsWriter.create(file, ['a']);
    await writer.append('a', [1], Float32Array.of(1));
    expect(await readdir(folder)).toEqual([partialFile(file).slice(folder.length + 1)]);
    await writer.abort();
    expect(await readdir(folder)).toEqual([]);
  });

  it('refuses names that were not announced, or twice, and shapes that do not fit', async () => {
    const writer = await SafetensorsWriter.create(join(folder, 'out.safetensors'), ['a', 'b']);
    await writer.append('a', [1], Float32Array.of(1));
    await expect(writer.append('a', [1], Float32Array.of(1))).rejects.toThrow(RangeError);
    await expect(writer.append('c', [1], Float32Array.of(1))).rejects.toThrow(RangeError);
    await expect(writer.append('b', [2], Float32Array.of(1))).rejects.toThrow(RangeError);
    await writer.abort();
  });
});
