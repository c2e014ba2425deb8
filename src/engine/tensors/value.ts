/** A tensor in the child's memory, in ONNX's own terms. */
import { SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { float16ToFloat32, float32ToFloat16 } from '../../statistics/half.js';
import type { SafetensorsTensor, SafetensorsType } from '../../statistics/safetensors.js';

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

export interface Value {
  readonly type: DataType;
  readonly dims: readonly number[];
  /** Row-major. Half floats are their bits in a `Uint16Array`, booleans bytes. */
  readonly data: TypedArray;
}

/** Values by name. */
export type Values = ReadonlyMap<string, Value>;

/** How elements of a type are held and what ONNX Runtime and people call them. Types that are not here can't be fed or fetched. */
const kinds = new Map<DataType, { name: string; array: new (length: number) => TypedArray }>([
  [DataType.float, { name: 'float32', array: Float32Array }],
  [DataType.double, { name: 'float64', array: Float64Array }],
  [DataType.float16, { name: 'float16', array: Uint16Array }],
  [DataType.int8, { name: 'int8', array: Int8Array }],
  [DataType.uint8, { name: 'uint8', array: Uint8Array }],
  [DataType.int16, { name: 'int16', array: Int16Array }],
  [DataType.uint16, { name: 'uint16', array: Uint16Array }],
  [DataType.int32, { name: 'int32', array: Int32Array }],
  [DataType.uint32, { name: 'uint32', array: Uint32Array }],
  [DataType.int64, { name: 'int64', array: BigInt64Array }],
  [DataType.uint64, { name: 'uint64', array: BigUint64Array }],
  [DataType.bool, { name: 'bool', array: Uint8Array }],
]);

type View = new (buffer: ArrayBuffer) => TypedArray;

/** How elements are held that safetensors call so; bfloat16 among them, which can't be fed. */
const stored: Readonly<Record<SafetensorsType, readonly [DataType, View]>> = {
  F64: [DataType.double, Float64Array],
  F32: [DataType.float, Float32Array],
  F16: [DataType.float16, Uint16Array],
  BF16: [DataType.bfloat16, Uint16Array],
  I64: [DataType.int64, BigInt64Array],
  I32: [DataType.int32, Int32Array],
  I16: [DataType.int16, Int16Array],
  I8: [DataType.int8, Int8Array],
  U64: [DataType.uint64, BigUint64Array],
  U32: [DataType.uint32, Uint32Array],
  U16: [DataType.uint16, Uint16Array],
  U8: [DataType.uint8, Uint8Array],
  BOOL: [DataType.bool, Uint8Array],
};

/** A tensor of a file, as it is. */
export function storedValue(tensor: SafetensorsTensor): Value {
  const [type, array] = stored[tensor.dtype];
  return { type, dims: tensor.shape, data: new array(tensor.bytes.buffer) };
}

/** ONNX Runtime's name of an element type, e.g. `float32`. */
export function typeName(type: DataType): string {
  return kinds.get(type)?.name ?? `type ${type}`;
}

/** The type of that name. */
export function typeOf(name: string): DataType {
  for (const [type, kind] of kinds) if (kind.name === name) return type;
  return DataType.undefined;
}

export function size(dims: readonly number[]): number {
  return dims.reduce((product, extent) => product * extent, 1);
}

/** A tensor with element i = `element(i)`; floats, integers and booleans alike. */
export function filled(type: DataType, dims: readonly number[], element: (index: number) => number): Value {
  const kind = kinds.get(type);
  if (!kind)
    throw new SinkscopeError({ code: 'input', message: `Sinkscope cannot make an input of ${typeName(type)}.` });
  const data = new kind.array(size(dims));
  for (let i = 0; i < data.length; i++) {
    const number = element(i);
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(number);
    else data[i] = type === DataType.float16 ? smallHalf(number) : number;
  }
  return { type, dims, data };
}

/** Elements as float32; the array itself where it is that already. */
export function floats(value: Value): Float32Array {
  const { data, type } = value;
  if (data instanceof Float32Array) return data;
  if (type === DataType.float16 && data instanceof Uint16Array) return float16ToFloat32(data);
  return Float32Array.from(data as ArrayLike<number | bigint>, Number);
}

/** As many rows of `data` [rows, D] as there are, in the type and with the leading axes of `value` [..., T, D]. */
export function withRows(value: Value, data: Float32Array): Value {
  const { dims } = rowsOf(value);
  return withFloats({ ...value, dims: ofRows(value.dims, data.length / dims) }, data);
}

/** `value` with other elements, in its own type. */
export function withFloats(value: Value, data: Float32Array): Value {
  return { ...value, data: value.type === DataType.float16 ? float32ToFloat16(data) : data };
}

/** Elements as numbers; ids and indices beyond 2^53 lose digits. */
export function numbers(value: Value): number[] {
  return Array.from(value.data as ArrayLike<number | bigint>, Number);
}

/** [T, D] of a hidden state whatever leading axes of extent 1 it has. */
export function rowsOf(value: Value): { tokens: number; dims: number } {
  const dims = value.dims.at(-1) ?? 1;
  return { tokens: dims === 0 ? 0 : size(value.dims) / dims, dims };
}

/**
 * Extents with as many rows: along the one axis before the last that has several, else along the last but one, of the
 * first example.
 */
function ofRows(extents: readonly number[], rows: number): number[] {
  const last = extents.length - 1;
  const several = extents.flatMap((extent, axis) => (axis < last && extent !== 1 ? [axis] : []));
  const axis = several.length === 1 ? several[0] : last - 1;
  const dims = extents.map((extent, i) => (i === axis ? rows : i === last ? extent : 1));
  return axis === undefined || axis < 0 ? [rows, ...dims] : dims;
}

/** Rows `from` … `to` of a hidden state, as a view. */
export function sliceRows(value: Value, from: number, to: number): Value {
  const { dims } = rowsOf(value);
  return {
    type: value.type,
    dims: ofRows(value.dims, to - from),
    data: value.data.subarray(from * dims, to * dims),
  };
}

/** Half-precision bits of the small integers that inputs are filled with. */
function smallHalf(number: number): number {
  if (number === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(number)));
  const fraction = Math.round((Math.abs(number) / 2 ** exponent - 1) * 1024);
  return (number < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | fraction;
}
