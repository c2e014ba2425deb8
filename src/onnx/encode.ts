/** A graph as the bytes of a `ModelProto`, weights by reference (`external_data`). */
import { relative, sep } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { AttributeType } from './attribute.js';
import {
  type Attribute,
  DataType,
  type FileRange,
  type Graph,
  type Node,
  newestIrVersion,
  type Tensor,
  type ValueInfo,
} from './model.js';
import { inlineBytes } from './parse.js';
import { readTensor } from './tensor.js';

/** Initializers by reference need IR version 4, which no longer lists them among the inputs. */
const oldestIrVersion = 4;

/**
 * Encodes a model; data files are named relative to `folder`, inside which they must lie.
 *
 * @throws SinkscopeError `file` for a tensor that is written out and can no longer be read
 */
export function encodeModel(
  model: { readonly irVersion: number; readonly opsets: ReadonlyMap<string, number>; readonly graph: Graph },
  folder: string,
): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int64(Math.min(Math.max(model.irVersion, oldestIrVersion), newestIrVersion));
  message(writer, 7, () => writeGraph(writer, model.graph, folder));
  for (const [domain, version] of model.opsets) {
    message(writer, 8, () => {
      string(writer, 1, domain);
      writer.tag(2, WireType.Varint).int64(version);
    });
  }
  return writer.finish();
}

function message(writer: BinaryWriter, field: number, write: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write();
  writer.join();
}

function string(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function writeGraph(writer: BinaryWriter, graph: Graph, folder: string): void {
  // ONNX Runtime refuses a second node of the same name; names of nodes mean nothing, so that one goes without.
  const names = new Set<string>();
  for (const node of graph.nodes) {
    const name = names.has(node.name) ? '' : node.name;
    names.add(name);
    message(writer, 1, () => writeNode(writer, { ...node, name }, folder));
  }
  string(writer, 2, graph.name || 'graph');
  for (const [name, tensor] of graph.initializers) {
    message(writer, 5, () => writeTensor(writer, { ...tensor, name }, folder));
  }
  for (const input of graph.inputs) message(writer, 11, () => writeValueInfo(writer, input));
  for (const output of graph.outputs) message(writer, 12, () => writeValueInfo(writer, output));
}

function writeNode(writer: BinaryWriter, node: Node, folder: string): void {
  for (const input of node.inputs) string(writer, 1, input);
  for (const output of node.outputs) string(writer, 2, output);
  string(writer, 3, node.name);
  string(writer, 4, node.op);
  for (const [name, attribute] of node.attributes)
    message(writer, 5, () => writeAttribute(writer, name, attribute, folder));
  string(writer, 7, node.domain);
}

function writeAttribute(writer: BinaryWriter, name: string, attribute: Attribute, folder: string): void {
  if (attribute.kind === 'opaque') {
    writer.raw(attribute.value);
    return;
  }
  string(writer, 1, name);
  switch (attribute.kind) {
    case 'float':
      writer.tag(2, WireType.Bit32).float(attribute.value);
      break;
    case 'int':
      writer.tag(3, WireType.Varint).int64(attribute.value);
      break;
    case 'string':
      string(writer, 4, attribute.value);
      break;
    case 'tensor':
      message(writer, 5, () => writeTensor(writer, attribute.value, undefined));
      break;
    case 'graph':
      message(writer, 6, () => writeGraph(writer, attribute.value, folder));
      break;
    case 'floats':
      for (const value of attribute.value) writer.tag(7, WireType.Bit32).float(value);
      break;
    case 'ints':
      for (const value of attribute.value) writer.tag(8, WireType.Varint).int64(value);
      break;
    case 'strings':
      for (const value of attribute.value) string(writer, 9, value);
      break;
    case 'graphs':
      for (const graph of attribute.value) message(writer, 11, () => writeGraph(writer, graph, folder));
      break;
    case 'reference':
      string(writer, 21, attribute.value);
      writer.tag(20, WireType.Varint).int32(attribute.type);
      return;
  }
  writer.tag(20, WireType.Varint).int32(AttributeType[attribute.kind]);
}

/** A tensor that is an attribute has no `folder`: it is always written out. */
function writeTensor(writer: BinaryWriter, tensor: Tensor, folder: string | undefined): void {
  for (const dim of tensor.dims) writer.tag(1, WireType.Varint).int64(dim);
  writer.tag(2, WireType.Varint).int32(tensor.type);
  string(writer, 8, tensor.name);
  if (tensor.type === DataType.string) {
    writer.raw(readTensor(tensor));
  } else if (folder === undefined || tensor.data instanceof Uint8Array || tensor.data.length <= inlineBytes) {
    writer.tag(9, WireType.LengthDelimited).bytes(readTensor(tensor));
  } else {
    for (const [key, value] of externalEntries(tensor.data, folder)) {
      message(writer, 13, () => {
        string(writer, 1, key);
        string(writer, 2, value);
      });
    }
    writer.tag(14, WireType.Varint).int32(1);
  }
}

function externalEntries({ file, offset, length }: FileRange, folder: string): [key: string, value: string][] {
  const location = relative(folder, file).split(sep).join('/');
  return [
    ['location', location],
    ['offset', String(offset)],
    ['length', String(length)],
  ];
}

function writeValueInfo(writer: BinaryWriter, { name, type, shape }: ValueInfo): void {
  string(writer, 1, name);
  if (type === undefined) return;
  message(writer, 2, () =>
    message(writer, 1, () => {
      writer.tag(1, WireType.Varint).int32(type);
      if (shape === undefined) return;
      message(writer, 2, () => {
        for (const dim of shape) {
          message(writer, 1, () => {
            if (typeof dim === 'number') writer.tag(1, WireType.Varint).int64(dim);
            else if (dim !== null) string(writer, 2, dim);
          });
        }
      });
    }),
  );
}
