/** ONNX files written field by field (numbers of onnx.proto3), sound or not. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

type Value = number | bigint | string | Uint8Array;

/** A message from its fields in order: integers become varints, everything else bytes with a length. */
export function message(...fields: readonly (readonly [field: number, value: Value])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [field, value] of fields) {
    if (typeof value === 'number' || typeof value === 'bigint') writer.tag(field, WireType.Varint).int64(value);
    else if (typeof value === 'string') writer.tag(field, WireType.LengthDelimited).string(value);
    else writer.tag(field, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}

export interface Parts {
  readonly nodes?: readonly Uint8Array[];
  readonly initializers?: readonly Uint8Array[];
  readonly inputs?: readonly Uint8Array[];
  readonly outputs?: readonly Uint8Array[];
  readonly functions?: readonly Uint8Array[];
  readonly irVersion?: number;
}

const repeated = (field: number, values: readonly Value[] = []) => values.map((value) => [field, value] as const);

export const graph = ({ nodes, initializers, inputs, outputs }: Parts): Uint8Array =>
  message(
    ...repeated(1, nodes),
    [2, 'test'],
    ...repeated(5, initializers),
    ...repeated(11, inputs),
    ...repeated(12, outputs),
  );

export const opset = (domain: string, version: number): Uint8Array => message([1, domain], [2, version]);

export function model(parts: Parts): Uint8Array {
  return message(
    [1, parts.irVersion ?? 10],
    [7, graph(parts)],
    [8, opset('', 18)],
    [8, opset('local', 1)],
    ...repeated(25, parts.functions),
  );
}

export const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Uint8Array[] = [],
  domain = '',
): Uint8Array =>
  message(...repeated(1, inputs), ...repeated(2, outputs), [4, op], ...repeated(5, attributes), [7, domain]);

/** A value with a type (default float) and shape; a string is a symbolic extent. */
export function value(name: string, shape: readonly (number | string)[] = [], type = 1): Uint8Array {
  const dims = shape.map((dim) => [1, message([typeof dim === 'number' ? 1 : 2, dim])] as const);
  return message([1, name], [2, message([1, message([1, type], [2, message(...dims)])])]);
}

/** A float tensor with `raw_data`. */
export function floats(name: string, dims: readonly number[], data: readonly number[]): Uint8Array {
  return tensor(name, dims, 1, [9, new Uint8Array(Float32Array.from(data).buffer)]);
}

export const tensor = (
  name: string,
  dims: readonly (number | bigint)[],
  type: number,
  ...data: readonly (readonly [field: number, value: Value])[]
): Uint8Array => message(...repeated(1, dims), [2, type], [8, name], ...data);

/** A float tensor whose data lie in another file. */
export const external = (
  name: string,
  dims: readonly number[],
  entries: Readonly<Record<string, string>>,
): Uint8Array =>
  tensor(
    name,
    dims,
    1,
    ...Object.entries(entries).map(([key, text]) => [13, message([1, key], [2, text])] as const),
    [14, 1],
  );

export const intAttribute = (name: string, number: number): Uint8Array => message([1, name], [3, number], [20, 2]);
export const graphAttribute = (name: string, bytes: Uint8Array): Uint8Array => message([1, name], [6, bytes], [20, 5]);
