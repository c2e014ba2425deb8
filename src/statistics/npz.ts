/** NumPy's `.npz` archives, as far as feeds need them. Untrusted: what an entry claims is checked before it is unpacked. */
import { readFile, stat } from 'node:fs/promises';
import { unzipSync } from 'fflate';
import { parse } from 'npyjs';
import { SinkscopeError } from '../errors.js';
import type { Safetensors, SafetensorsTensor, SafetensorsType } from './safetensors.js';

/** Archives are held whole, packed and unpacked. */
const maxBytes = 2 ** 30;

const types: Readonly<Record<string, SafetensorsType>> = {
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
};

/**
 * Opens an `.npz` file; its arrays are asked for as the tensors of a safetensors file are.
 *
 * @throws SinkscopeError `file` where it cannot be read or is not what it says
 */
export async function openNpz(file: string): Promise<Safetensors> {
  const arrays = new Map<string, SafetensorsTensor>();
  try {
    const { size } = await stat(file);
    if (size > maxBytes) throw new Error(`it has ${size} bytes, more than the ${maxBytes} that are read`);
    const entries = unzipSync(await readFile(file), {
      filter: ({ name, originalSize }) => {
        if (originalSize > maxBytes) throw new Error(`its entry ${name} claims ${originalSize} bytes`);
        return name.endsWith('.npy');
      },
    });
    for (const [name, bytes] of Object.entries(entries))
      arrays.set(name.slice(0, -'.npy'.length), arrayOf(name, bytes));
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new SinkscopeError(
      {
        code: 'file',
        file,
        message: `${file} is not a readable .npz file: ${cause}. Write it again with numpy.savez.`,
      },
      { cause: error },
    );
  }
  return {
    names: [...arrays.keys()],
    async tensor(name) {
      const array = arrays.get(name);
      if (!array) throw new SinkscopeError({ code: 'input', file, message: `${file} has no array "${name}".` });
      return array;
    },
  };
}

function arrayOf(name: string, entry: Uint8Array): SafetensorsTensor {
  // A copy, so that the array has a buffer of its own.
  const { data, shape, dtype, fortranOrder } = parse(entry.slice().buffer, { convertFloat16: false });
  const type = types[dtype];
  if (!type) throw new Error(`${name} has elements of type ${dtype}`);
  if (fortranOrder && shape.length > 1) throw new Error(`${name} is in Fortran order (use numpy.ascontiguousarray)`);
  const count = shape.reduce((product, extent) => product * extent, 1);
  const width = data.byteLength / (count || 1);
  if (!Number.isInteger(width)) throw new Error(`${name} is cut off`);
  const bytes = new Uint8Array(data.byteLength);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return { dtype: type, shape, bytes };
}
