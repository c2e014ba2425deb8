/** Tensors as bytes: how large they must be, reading them, and small constants as numbers. */
import { closeSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { SinkscopeError } from '../errors.js';
import { quoted } from '../visible.js';
import { DataType, type FileRange, type Tensor } from './model.js';

const bitsByType: Readonly<Record<number, number>> = {
  [DataType.float]: 32,
  [DataType.uint8]: 8,
  [DataType.int8]: 8,
  [DataType.uint16]: 16,
  [DataType.int16]: 16,
  [DataType.int32]: 32,
  [DataType.int64]: 64,
  [DataType.bool]: 8,
  [DataType.float16]: 16,
  [DataType.double]: 64,
  [DataType.uint32]: 32,
  [DataType.uint64]: 64,
  14: 64, // complex64
  15: 128, // complex128
  [DataType.bfloat16]: 16,
  17: 8, // float8e4m3fn
  18: 8, // float8e4m3fnuz
  19: 8, // float8e5m2
  20: 8, // float8e5m2fnuz
  [DataType.uint4]: 4,
  [DataType.int4]: 4,
  23: 4, // float4e2m1
  24: 8, // float8e8m0
  25: 2, // uint2
  26: 2, // int2
};

/** Bits of one element; undefined for strings and for types newer than the table. */
export function elementBits(type: DataType): number | undefined {
  return bitsByType[type];
}

/** As the ONNX specification calls the type: `float16`; `type 99` where it is newer than the tables. */
export function onnxTypeName(type: DataType): string {
  const known = Object.entries(DataType).find(([, number]) => number === type)?.[0];
  return known ?? newerNames[type] ?? `type ${type}`;
}

const newerNames: Readonly<Record<number, string>> = {
  14: 'complex64',
  15: 'complex128',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  23: 'float4e2m1',
  24: 'float8e8m0',
  25: 'uint2',
  26: 'int2',
};

/** Product of the extents; 1 for a scalar. Infinity or an unsafe integer where it overflows. */
export function elementCount(dims: readonly number[]): number {
  return dims.includes(0) ? 0 : dims.reduce((product, dim) => product * dim, 1);
}

/** Bytes that a tensor's data takes; undefined where the element's width is unknown. */
export function byteLength(type: DataType, dims: readonly number[]): number | undefined {
  const bits = elementBits(type);
  return bits === undefined ? undefined : Math.ceil((elementCount(dims) * bits) / 8);
}

/**
 * Bytes from a file.
 *
 * @throws SinkscopeError `file` where it is unreadable or has become shorter
 */
export function readRange({ file, offset, length }: FileRange): Uint8Array {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    throw new SinkscopeError(
      {
        code: 'file',
        file,
        message: `${basename(file)} cannot be opened any more; check that it is still there and readable.`,
      },
      { cause: error },
    );
  }
  try {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(descriptor, bytes, done, Math.min(length - done, 2 ** 30), offset + done);
      if (count === 0) {
        throw new SinkscopeError({
          code: 'file',
          file,
          message: `${basename(file)} has become shorter since it was opened; open the model again.`,
        });
      }
      done += count;
    }
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The tensor's little-endian bytes, read where they lie in a file.
 *
 * @throws SinkscopeError as {@link readRange}
 */
export function readTensor(tensor: Tensor): Uint8Array {
  return tensor.data instanceof Uint8Array ? tensor.data : readRange(tensor.data);
}

const maxNumbers = 4096;

/**
 * The elements of a small numeric constant, row-major. 64-bit integers beyond the safe integers are rounded.
 *
 * @throws SinkscopeError `graph` for more than 4,096 elements and for types that are no plain numbers
 */
export function constantNumbers(tensor: Tensor): number[] {
  const count = elementCount(tensor.dims);
  const read = readers[tensor.type];
  const bits = elementBits(tensor.type);
  if (count > maxNumbers || read === undefined || bits === undefined) {
    throw new SinkscopeError({
      code: 'graph',
      message: `The tensor ${quoted(tensor.name)} (type ${tensor.type}, dims [${tensor.dims.join(', ')}]) is used where a small numeric constant is expected.`,
    });
  }
  const bytes = readTensor(tensor);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => read(view, (i * bits) / 8));
}

/** Bytes of a tensor that are read at once. */
const partBytes = 2 ** 23;

/**
 * The elements of a tensor of any size, row-major, part by part as they lie in its file: nothing more is held. 64-bit
 * integers beyond the safe ones are rounded.
 *
 * @throws SinkscopeError `input` for types that are no plain numbers, `file` as {@link readRange}
 */
export function* elementsOf({ name, type, dims, data }: Tensor): Generator<Float32Array | Float64Array> {
  const count = elementCount(dims);
  const bits = elementBits(type);
  const read = readers[type];
  const nibble = type === DataType.uint4 || type === DataType.int4;
  if (bits === undefined || (read === undefined && !nibble)) {
    const message = `The weight ${quoted(name)} has elements of type ${onnxTypeName(type)}, of which no statistics can be made.`;
    throw new SinkscopeError({ code: 'input', message });
  }
  const perPart = (partBytes * 8) / bits;
  for (let start = 0; start < count; start += perPart) {
    const length = Math.min(perPart, count - start);
    const [from, taken] = [(start * bits) / 8, Math.ceil((length * bits) / 8)];
    const bytes =
      data instanceof Uint8Array
        ? data.slice(from, from + taken)
        : readRange({ file: data.file, offset: data.offset + from, length: taken });
    if (type === DataType.float && littleEndian) {
      yield new Float32Array(bytes.buffer, 0, length);
      continue;
    }
    const view = new DataView(bytes.buffer);
    const values = new Float64Array(length);
    for (let i = 0; i < length; i++)
      values[i] = nibble ? nibbleAt(bytes, i, type) : (read?.(view, (i * bits) / 8) ?? Number.NaN);
    yield values;
  }
}

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Two in a byte, the first in its low half. */
function nibbleAt(bytes: Uint8Array, i: number, type: DataType): number {
  const byte = bytes[i >> 1] ?? 0;
  const value = i % 2 === 0 ? byte & 15 : byte >> 4;
  return type === DataType.int4 && value > 7 ? value - 16 : value;
}

const readers: Readonly<Record<number, (view: DataView, offset: number) => number>> = {
  [DataType.float]: (view, offset) => view.getFloat32(offset, true),
  [DataType.uint8]: (view, offset) => view.getUint8(offset),
  [DataType.int8]: (view, offset) => view.getInt8(offset),
  [DataType.uint16]: (view, offset) => view.getUint16(offset, true),
  [DataType.int16]: (view, offset) => view.getInt16(offset, true),
  [DataType.int32]: (view, offset) => view.getInt32(offset, true),
  [DataType.int64]: (view, offset) => Number(view.getBigInt64(offset, true)),
  [DataType.bool]: (view, offset) => view.getUint8(offset),
  [DataType.float16]: (view, offset) => halfToNumber(view.getUint16(offset, true)),
  [DataType.double]: (view, offset) => view.getFloat64(offset, true),
  [DataType.uint32]: (view, offset) => view.getUint32(offset, true),
  [DataType.uint64]: (view, offset) => Number(view.getBigUint64(offset, true)),
  [DataType.bfloat16]: (view, offset) => bfloatToNumber(view.getUint16(offset, true)),
};

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A bfloat16 is the upper half of a binary32. */
function bfloatToNumber(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits << 16);
  return view.getFloat32(0);
}
