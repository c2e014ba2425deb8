/** NumPy's `.npz` archives, as far as feeds need them. Untrusted: what an entry claims is checked before it is unpacked. */
import { readFile, stat } from 'node:fs/promises';
import { unzipSync } from 'fflate';
import { parse } from 'npyjs';
import { SinkscopeError } from '../errors.js';
import { quoted } from '../visible.js';
import type { Safetensors, SafetensorsTensor, SafetensorsType } from './safetensors.js';

/** Of an archive, which is held whole, and of all arrays that are asked for, unpacked. */
const maxBytes = 2 ** 30;

const ending = '.npy';

const types = new Map<string, SafetensorsType>(
  Object.entries({
    f8: 'F64',
    f4: 'F32',
    f2: 'F16',
    i8: 'I64',
    i4: 'I32',
    i2: 'I16',
    i1: 'I8',
    u8: 'U64',
    u4: 'U32',
    u2: 'U16',
    u1: 'U8',
    b1: 'BOOL',
  } as const),
);

/**
 * Opens an `.npz` file; its arrays are asked for as the tensors of a safetensors file are, and unpacked then.
 *
 * @throws SinkscopeError `file` where it, or an array that is asked for, cannot be read or is not what it says
 */
export async function openNpz(file: string): Promise<Safetensors> {
  const failed = (error: unknown) => {
    const cause = error instanceof Error ? error.message : String(error);
    return new SinkscopeError(
      {
        code: 'file',
        file,
        message: `${file} is not a readable .npz file: ${cause}. Write it again with numpy.savez.`,
      },
      { cause: error },
    );
  };
  const names: string[] = [];
  let archive: Uint8Array;
  try {
    const status = await stat(file);
    // Opening a pipe would wait for a writer, and a device has no end.
    if (!status.isFile()) throw new Error('it is no ordinary file');
    if (status.size > maxBytes) throw new Error(`it has ${status.size} bytes, more than the ${maxBytes} that are read`);
    archive = await readFile(file);
    unzipSync(archive, {
      filter: ({ name }) => {
        if (name.endsWith(ending)) names.push(name.slice(0, -ending.length));
        return false;
      },
    });
  } catch (error) {
    throw failed(error);
  }
  let room = maxBytes;
  return {
    names,
    async tensor(name) {
      if (!names.includes(name))
        throw new SinkscopeError({ code: 'input', file, message: `${file} has no array ${quoted(name)}.` });
      try {
        // Only what is asked for is unpacked, and never more than an archive may be: entries may share their bytes.
        const entries = unzipSync(archive, {
          filter: (entry) => {
            if (entry.name !== `${name}${ending}`) return false;
            room -= entry.originalSize;
            if (room < 0) throw new Error(`its arrays unfold to more than the ${maxBytes} bytes that are taken`);
            return true;
          },
        });
        const bytes = entries[`${name}${ending}`];
        if (!bytes) throw new Error(`${name} is not there`);
        return arrayOf(name, bytes);
      } catch (error) {
        throw failed(error);
      }
    },
  };
}

function arrayOf(name: string, entry: Uint8Array): SafetensorsTensor {
  // A copy, so that the array has a buffer of its own.
  const { data, shape, dtype, fortranOrder } = parse(entry.slice().buffer, { convertFloat16: false });
  const type = types.get(dtype);
  if (!type) throw new Error(`${name} has elements of type ${quoted(dtype)}`);
  if (fortranOrder && shape.length > 1) throw new Error(`${name} is in Fortran order (use numpy.ascontiguousarray)`);
  const count = shape.reduce((product, extent) => product * extent, 1);
  const width = data.byteLength / (count || 1);
  if (!Number.isInteger(width)) throw new Error(`${name} is cut off`);
  const bytes = new Uint8Array(data.byteLength);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return { dtype: type, shape, bytes };
}
