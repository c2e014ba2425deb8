/** Sparse weights made dense, as ONNX Runtime does when it loads a file. */
import { quoted } from '../visible.js';
import { DataType, type Tensor } from './model.js';
import { byteLength, elementBits, elementCount, readTensor } from './tensor.js';
import { WireError } from './wire.js';

/** Whole numbers that indices are stored as. ONNX says int64; ONNX Runtime writes the narrowest type that holds them. */
const places = new Map<DataType, (view: DataView, at: number) => number>([
  [DataType.int64, (view, at) => Number(view.getBigInt64(8 * at, true))],
  [DataType.int32, (view, at) => view.getInt32(4 * at, true)],
  [DataType.int16, (view, at) => view.getInt16(2 * at, true)],
  [DataType.int8, (view, at) => view.getInt8(at)],
]);

/**
 * @param values the elements that are not zero; its name is the weight's
 * @param indices their places, [count] in row-major order or [count, axes]
 * @param hold called with the bytes that the dense weight takes before they are allocated
 * @throws WireError where the parts do not fit each other; SinkscopeError as {@link readTensor}
 */
export function dense(values: Tensor, indices: Tensor, dims: readonly number[], hold: (bytes: number) => void): Tensor {
  const { name, type } = values;
  const refuse = (why: string) => new WireError(`the sparse weight ${quoted(name)} ${why}`);
  const [bits, bytes, count] = [elementBits(type), byteLength(type, dims), elementCount(values.dims)];
  const flat = indices.dims.length < 2;
  if (bits === undefined || bits % 8 !== 0 || bytes === undefined || dims.some((extent) => !(extent > 0)))
    throw refuse(`has a type (${type}) or shape [${dims.join(', ')}] that is not supported`);
  const expected = flat ? [count] : [count, dims.length];
  const placeAt = places.get(indices.type);
  if (!placeAt) throw refuse(`has indices of type ${indices.type}, which is not supported`);
  if (indices.dims.join() !== expected.join())
    throw refuse(`has ${count} values and indices of shape [${indices.dims.join(', ')}]`);
  if (bytes > 2 ** 31) throw refuse(`would be too large when it is made dense (${bytes} bytes)`);
  hold(bytes);
  const data = new Uint8Array(bytes);
  const from = readTensor(values);
  const bytesOfPlaces = readTensor(indices);
  const view = new DataView(bytesOfPlaces.buffer, bytesOfPlaces.byteOffset, bytesOfPlaces.byteLength);
  const size = bits / 8;
  const axes = flat ? [elementCount(dims)] : dims;
  for (let i = 0; i < count; i++) {
    let at = 0;
    for (const [axis, extent] of axes.entries()) {
      const place = placeAt(view, i * axes.length + axis);
      if (place < 0 || place >= extent) throw refuse(`has a value at ${place} of an axis of ${extent}`);
      at = at * extent + place;
    }
    data.set(from.subarray(i * size, (i + 1) * size), at * size);
  }
  return { name, type, dims, data };
}
