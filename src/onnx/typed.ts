/** Elements in the typed fields of a `TensorProto` (`float_data` and the like), which small tensors often have. */

import { quoted } from '../visible.js';
import { DataType } from './model.js';
import { elementBits } from './tensor.js';
import { type ByteSpan, type Field, WireError, type WireReader, WireType } from './wire.js';

/** `float_data`, `int32_data`, `string_data`, `int64_data`, `double_data`, `uint64_data`. */
export const typedFields: ReadonlyMap<number, 'fixed' | 'varint' | 'string'> = new Map([
  [4, 'fixed'],
  [5, 'varint'],
  [6, 'string'],
  [7, 'varint'],
  [10, 'fixed'],
  [11, 'varint'],
]);

/**
 * The elements as `Tensor.data` holds them: where they lie if they are little-endian there already, else converted.
 *
 * @throws WireError for fields of two kinds, or of one that does not fit the type
 */
export function typedData(
  reader: WireReader,
  name: string,
  type: DataType,
  fields: readonly Field[],
): Uint8Array | ByteSpan {
  const first = fields[0];
  if (first === undefined) return new Uint8Array(0);
  if (fields.some((field) => field.number !== first.number)) {
    throw new WireError(`the weight ${quoted(name)} is stored in two ways at once`);
  }
  const kind = typedFields.get(first.number);
  if ((kind === 'string') !== (type === DataType.string)) {
    throw new WireError(`the weight ${quoted(name)} is stored in a way that does not fit its type`);
  }
  if (kind === 'string') return Buffer.concat(fields.flatMap((field) => encodedString(reader, field)));
  if (kind === 'varint') return Buffer.concat(fields.map((field) => integers(reader, type, field)));
  if (fields.length === 1 && first.type === WireType.bytes) return first;
  return Buffer.concat(fields.map((field) => reader.bytes(field)));
}

function integers(reader: WireReader, type: DataType, field: Field): Uint8Array {
  // 4-bit elements come two to a number, so one byte each.
  const width = Math.min(64, Math.max(8, elementBits(type) ?? 32)) / 8;
  // Every number has at least one byte in the file, so this bounds what is allocated.
  const room = field.type === WireType.varint ? 1 : field.end - field.start;
  reader.hold(room * width);
  const bytes = Buffer.alloc(room * width);
  let length = 0;
  for (const value of reader.bigints(field)) {
    if (width === 8) bytes.writeBigUInt64LE(BigInt.asUintN(64, value), length);
    else bytes.writeUIntLE(Number(BigInt.asUintN(8 * width, value)), length, width);
    length += width;
  }
  return bytes.subarray(0, length);
}

/** Kept with its tag and length, so that it goes out as it came in. */
function encodedString(reader: WireReader, field: Field): Uint8Array[] {
  const bytes = reader.bytes(reader.message(field));
  return [varint((6 << 3) | WireType.bytes), varint(bytes.length), bytes];
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
