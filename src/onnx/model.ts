/**
 * An ONNX file as data (onnx.proto3, ONNX 1.20), with weights as ranges in files.
 *
 * Everything here is immutable: a pass takes a model and returns another one.
 */

/** `TensorProto.DataType` of the ONNX specification. */
export const DataType = {
  undefined: 0,
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  uint4: 21,
  int4: 22,
} as const;
/** A number, because files may carry types newer than this table (float8, int2 …): they pass through unread. */
export type DataType = number;

/** Bytes in a file, checked to lie within it. `file` is an absolute path. */
export interface FileRange {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

export interface Tensor {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly number[];
  /**
   * Little-endian elements, row-major: in memory when small, else where they lie in a file.
   * Of a string tensor: the file's own `string_data` fields, one after another.
   */
  readonly data: Uint8Array | FileRange;
}

export type Attribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'graph'; readonly value: Graph }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly bigint[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'graphs'; readonly value: readonly Graph[] }
  /** In a function's body: the attribute of the call that stands here; `type` is its `AttributeProto.AttributeType`. */
  | { readonly kind: 'reference'; readonly value: string; readonly type: number }
  /** Any other kind, kept as its encoded bytes. */
  | { readonly kind: 'opaque'; readonly value: Uint8Array };

export interface Node {
  readonly name: string;
  /** Operator, e.g. `MatMul`. */
  readonly op: string;
  /** `''` for ai.onnx. */
  readonly domain: string;
  /** Which of several model-local functions of this name; absent where there is one. */
  readonly overload?: string;
  /** `''` stands for an optional input or output that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

export interface ValueInfo {
  readonly name: string;
  /** Undefined where the file does not say, or where the value is no tensor. */
  readonly type?: DataType;
  /** A number, a symbolic name, or null for an unknown extent; undefined for unknown rank. */
  readonly shape?: readonly (number | string | null)[];
}

export interface Graph {
  readonly name: string;
  /** In a valid topological order (checked or restored on reading). */
  readonly nodes: readonly Node[];
  /** Without the initializers that old files repeat here. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** Types and shapes of inner values, as far as the file has them. */
  readonly valueInfo: ReadonlyMap<string, ValueInfo>;
}

/** The newest `ModelProto.ir_version` that the ONNX Runtime beside us reads. */
export const newestIrVersion = 13;

/** A model-local function (`FunctionProto`). */
export interface FunctionDefinition {
  readonly domain: string;
  readonly name: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly Node[];
  readonly opsets: ReadonlyMap<string, number>;
  readonly attributeNames: readonly string[];
  readonly attributeDefaults: ReadonlyMap<string, Attribute>;
}

export interface Model {
  /** Absolute path, symbolic links resolved. */
  readonly file: string;
  readonly irVersion: number;
  readonly producer: string;
  /** Domain (`''` for ai.onnx) to version. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly graph: Graph;
  readonly functions: readonly FunctionDefinition[];
  /** What is to be told with every result: what it is about, a colon, and what is so. */
  readonly remarks: readonly string[];
}

/** The integer attribute `name`, or `fallback` where the node leaves it out; clamped to the safe integers. */
export function intAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'int' ? Number(attribute.value) : fallback;
}

/** The float attribute `name`, or `fallback` where the node leaves it out. */
export function floatAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'float' ? attribute.value : fallback;
}

/** The list-of-integers attribute `name`, or undefined where the node leaves it out. */
export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'ints' ? attribute.value.map(Number) : undefined;
}
