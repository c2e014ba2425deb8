import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, expect, it } from 'vitest';
import { openNpz } from '../../../src/statistics/npz.js';

const folder = mkdtempSync(join(tmpdir(), 'sinkscope-npz-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** NumPy's format, version 1.0, of one axis of float32. */
function npy(values: readonly number[]): Uint8Array {
  const head = `{'descr': '<f4', 'fortran_order': False, 'shape': (${values.length},), }`.padEnd(117, ' ');
  const start = Buffer.concat([Buffer.from('\x93NUMPY\x01\x00v\x00', 'latin1'), Buffer.from(`${head}\n`)]);
  return Buffer.concat([start, Buffer.from(Float32Array.from(values).buffer)]);
}

/** An archive of which the list of contents claims that `name` unfolds to `bytes`. */
function claiming(entries: Record<string, Uint8Array>, name: string, bytes: number): string {
  const archive = Buffer.from(zipSync(entries));
  // In the list at the end: a signature, … sizes at 20 and 24, the name at 46.
  const at = archive.lastIndexOf(name) - 46;
  expect(archive.readUInt32LE(at)).toBe(0x02014b50);
  archive.writeUInt32LE(bytes, at + 24);
  const file = join(folder, 'claiming.npz');
  writeFileSync(file, archive);
  return file;
}

it('an array is unpacked when it is asked for, and one that claims too much is refused alone', async () => {
  const file = claiming({ 'small.npy': npy([1, 2, 3]), 'huge.npy': npy([4]) }, 'huge.npy', 2 ** 32 - 1);
  const { names, tensor } = await openNpz(file);
  expect(names).toEqual(['small', 'huge']);
  await expect(tensor('huge')).rejects.toThrow(
    /claiming\.npz is not a readable .*unfold to more than the 1073741824 bytes/,
  );
  const refused = await openNpz(file);
  const { shape, bytes } = await refused.tensor('small');
  expect(shape).toEqual([3]);
  expect(Array.from(new Float32Array(bytes.buffer))).toEqual([1, 2, 3]);
});

it('arrays together may be no larger than one', async () => {
  const file = claiming({ 'a.npy': npy([1]) }, 'a.npy', 2 ** 29 + 1);
  const { tensor } = await openNpz(file);
  await tensor('a').catch(() => undefined);
  await expect(tensor('a')).rejects.toThrow(/unfold to more/);
});

it('what is no ordinary file is not opened', async () => {
  await expect(openNpz(folder)).rejects.toMatchObject({
    code: 'file',
    message: `${folder} is not a readable .npz file: it is no ordinary file. Write it again with numpy.savez.`,
  });
});
