/** Attributes of onnx.proto3: their types, and the fields that hold their values. */

/** `AttributeProto.AttributeType`. */
export const AttributeType = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
} as const;

/** Fields of an attribute that hold tensors, sparse tensors and graphs, one or several. */
export const tensorFields: ReadonlySet<number> = new Set([5, 10]);
export const sparseFields: ReadonlySet<number> = new Set([22, 23]);
export const graphFields: ReadonlySet<number> = new Set([6, 11]);

/** Attribute types and the fields that hold their values. */
export const valueFields: readonly (readonly [type: number, field: number])[] = [
  [AttributeType.float, 2],
  [AttributeType.int, 3],
  [AttributeType.string, 4],
  [AttributeType.tensor, 5],
  [AttributeType.graph, 6],
  [AttributeType.floats, 7],
  [AttributeType.ints, 8],
  [AttributeType.strings, 9],
  [AttributeType.tensors, 10],
  [AttributeType.graphs, 11],
];
