/** The messages of onnx.proto3 as the types of `model.ts`. Field numbers are those of the ONNX specification. */

import { grouped } from '../errors.js';
import { quoted } from '../visible.js';
import { AttributeType, graphFields, sparseFields, tensorFields, valueFields } from './attribute.js';
import type { ExternalData } from './external.js';
import {
  type Attribute,
  DataType,
  type FileRange,
  type FunctionDefinition,
  type Graph,
  type Node,
  type Tensor,
  type ValueInfo,
} from './model.js';
import { dense } from './sparse.js';
import { byteLength, elementCount, readRange } from './tensor.js';
import { typedData, typedFields } from './typed.js';
import { type ByteSpan, type Field, WireError, type WireReader, WireType } from './wire.js';

/** Tensors up to this size are held in memory; ONNX Runtime wants shapes and scalars in the model itself. */
export const inlineBytes = 1024;

const maxDepth = 32;

/** In graphs and functions together; a mixture of experts written out has the most, some 200,000. */
const maxNodes = 500_000;

/** What parts take in memory beside their names and values, about, until the graph is prepared. */
const heldBytes = { node: 600, attribute: 300, tensor: 400, value: 200, function: 1000, field: 100 } as const;

/** `''` is the domain's own short name. */
const domainName = (name: string): string => (name === 'ai.onnx' ? '' : name);

export interface ModelParts {
  readonly irVersion: number | undefined;
  readonly producer: string;
  readonly opsets: ReadonlyMap<string, number>;
  readonly graph: Graph | undefined;
  readonly functions: readonly FunctionDefinition[];
}

/**
 * Parses a `ModelProto`. `file` is the path that ranges into the model itself get.
 *
 * @throws WireError for bytes that are no such message
 * @throws SinkscopeError `external-data` for unsound external data
 */
export class Parser {
  private depth = 0;
  private nodes = 0;

  constructor(
    private readonly reader: WireReader,
    private readonly file: string,
    private readonly external: ExternalData,
  ) {}

  model(): ModelParts {
    const { reader } = this;
    let irVersion: number | undefined;
    let producer = '';
    let version = '';
    let graph: Graph | undefined;
    const opsets = new Map<string, number>();
    const functions: FunctionDefinition[] = [];
    for (const field of reader.fields(reader.all)) {
      if (field.number === 1) irVersion = reader.int(field);
      else if (field.number === 2) producer = reader.string(field);
      else if (field.number === 3) version = reader.string(field);
      else if (field.number === 7) {
        if (graph !== undefined) throw new WireError('it holds two graphs');
        graph = this.graph(reader.message(field));
      } else if (field.number === 8) this.opset(reader.message(field), opsets);
      else if (field.number === 25) functions.push(this.functionDefinition(reader.message(field)));
    }
    return { irVersion, producer: `${producer} ${version}`.trim(), opsets, graph, functions };
  }

  private opset(span: ByteSpan, into: Map<string, number>): void {
    let domain = '';
    let version = 0;
    for (const field of this.reader.fields(span)) {
      if (field.number === 1) domain = domainName(this.reader.string(field));
      else if (field.number === 2) version = this.reader.int(field);
    }
    into.set(domain, version);
  }

  private functionDefinition(span: ByteSpan): FunctionDefinition {
    const { reader } = this;
    reader.hold(heldBytes.function);
    let name = '';
    let domain = '';
    let overload = '';
    const inputs: string[] = [];
    const outputs: string[] = [];
    const nodes: Node[] = [];
    const opsets = new Map<string, number>();
    const attributeNames: string[] = [];
    const attributeDefaults = new Map<string, Attribute>();
    for (const field of reader.fields(span)) {
      if (field.number === 1) name = reader.string(field);
      else if (field.number === 4) inputs.push(reader.string(field));
      else if (field.number === 5) outputs.push(reader.string(field));
      else if (field.number === 6) attributeNames.push(reader.string(field));
      else if (field.number === 7) nodes.push(this.node(reader.message(field)));
      else if (field.number === 9) this.opset(reader.message(field), opsets);
      else if (field.number === 10) domain = domainName(reader.string(field));
      else if (field.number === 11) this.attribute(reader.message(field), attributeDefaults);
      else if (field.number === 13) overload = reader.string(field);
    }
    return { domain, name, overload, inputs, outputs, nodes, opsets, attributeNames, attributeDefaults };
  }

  private graph(span: ByteSpan): Graph {
    if (++this.depth > maxDepth) throw new WireError(`graphs are nested more than ${maxDepth} deep`);
    const { reader } = this;
    let name = '';
    const nodes: Node[] = [];
    const inputs: ValueInfo[] = [];
    const outputs: ValueInfo[] = [];
    const initializers = new Map<string, Tensor>();
    const valueInfo = new Map<string, ValueInfo>();
    for (const field of reader.fields(span)) {
      if (field.number === 1) nodes.push(this.node(reader.message(field)));
      else if (field.number === 2) name = reader.string(field);
      else if (field.number === 5) {
        const tensor = this.tensor(reader.message(field));
        // Of two of a name ONNX Runtime takes the last.
        initializers.set(tensor.name, tensor);
      } else if (field.number === 11) inputs.push(this.valueInfo(reader.message(field)));
      else if (field.number === 12) outputs.push(this.valueInfo(reader.message(field)));
      else if (field.number === 13) {
        const value = this.valueInfo(reader.message(field));
        valueInfo.set(value.name, value);
      } else if (field.number === 15) {
        const tensor = this.sparse(reader.message(field));
        initializers.set(tensor.name, tensor);
      }
    }
    this.depth--;
    return {
      name,
      nodes,
      inputs: inputs.filter((input) => !initializers.has(input.name)),
      outputs,
      initializers,
      valueInfo,
    };
  }

  private node(span: ByteSpan): Node {
    const { reader } = this;
    if (++this.nodes > maxNodes) throw new WireError(`more than ${grouped(maxNodes)} nodes`);
    reader.hold(heldBytes.node);
    let name = '';
    let op = '';
    let domain = '';
    let overload = '';
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes = new Map<string, Attribute>();
    for (const field of reader.fields(span)) {
      if (field.number === 1) inputs.push(reader.string(field));
      else if (field.number === 2) outputs.push(reader.string(field));
      else if (field.number === 3) name = reader.string(field);
      else if (field.number === 4) op = reader.string(field);
      else if (field.number === 5) this.attribute(reader.message(field), attributes);
      else if (field.number === 7) domain = domainName(reader.string(field));
      else if (field.number === 8) overload = reader.string(field);
    }
    if (op === '') throw new WireError(`the node ${quoted(name)} names no operator`);
    return { name, op, domain, inputs, outputs, attributes, ...(overload !== '' && { overload }) };
  }

  private attribute(span: ByteSpan, into: Map<string, Attribute>): void {
    const { reader } = this;
    reader.hold(heldBytes.attribute);
    let name = '';
    let type: number | undefined;
    let reference = '';
    /** By field number; the last one of a kind that is not repeated. */
    const found = new Map<number, Field[]>();
    for (const field of reader.fields(span)) {
      if (field.number === 1) name = reader.string(field);
      else if (field.number === 20) type = reader.int(field);
      else if (field.number === 21) reference = reader.string(field);
      else {
        reader.hold(heldBytes.field);
        const others = found.get(field.number);
        if (others) others.push(field);
        else found.set(field.number, [field]);
      }
    }
    // Files of IR version 1 state no type; there the field that is present tells.
    type ||= valueFields.find(([, field]) => found.has(field))?.[0] ?? 0;
    if (reference !== '') into.set(name, { kind: 'reference', value: reference, type });
    else into.set(name, this.attributeValue(type, found, span));
  }

  private attributeValue(type: number, found: ReadonlyMap<number, readonly Field[]>, span: ByteSpan): Attribute {
    const { reader } = this;
    const fields = found.get(valueFields.find(([known]) => known === type)?.[1] ?? -1) ?? [];
    const last = fields.at(-1);
    switch (type) {
      case AttributeType.float:
        return { kind: 'float', value: last ? reader.float(last) : 0 };
      case AttributeType.int:
        return { kind: 'int', value: last ? reader.bigint(last) : 0n };
      case AttributeType.string: {
        const value = last ? text(reader.bytes(last)) : '';
        return value === undefined ? this.opaque(span) : { kind: 'string', value };
      }
      case AttributeType.tensor:
        return last ? { kind: 'tensor', value: this.tensor(reader.message(last)) } : this.opaque(span);
      case AttributeType.graph:
        return last ? { kind: 'graph', value: this.graph(reader.message(last)) } : this.opaque(span);
      case AttributeType.floats:
        return { kind: 'floats', value: fields.flatMap((field) => this.floats(field)) };
      case AttributeType.ints:
        return { kind: 'ints', value: fields.flatMap((field) => this.bigints(field)) };
      case AttributeType.strings: {
        const values = fields.map((field) => text(reader.bytes(field)));
        const known = values.filter((value) => value !== undefined);
        return known.length === values.length ? { kind: 'strings', value: known } : this.opaque(span);
      }
      case AttributeType.graphs:
        return { kind: 'graphs', value: fields.map((field) => this.graph(reader.message(field))) };
      default:
        return this.opaque(span);
    }
  }

  /** An attribute that is passed on as it is, so that nothing in it may lie elsewhere. */
  private opaque(span: ByteSpan): Attribute {
    const { reader } = this;
    for (const field of reader.fields(span)) {
      if (tensorFields.has(field.number)) this.checkInline(reader.message(field));
      else if (sparseFields.has(field.number)) {
        // Values and indices are tensors, the third field the shape.
        for (const part of reader.fields(reader.message(field)))
          if (part.number !== 3) this.checkInline(reader.message(part));
      } else if (graphFields.has(field.number))
        throw new WireError('an attribute has a graph that its type does not name');
    }
    return { kind: 'opaque', value: reader.bytes(span) };
  }

  /** @throws WireError for a tensor whose data lie in another file */
  private checkInline(span: ByteSpan): void {
    for (const field of this.reader.fields(span)) {
      if (field.number === 13 || field.number === 14)
        throw new WireError(
          'an attribute, sparse or a list, has its values in a data file, where only weights may have them',
        );
    }
  }

  private floats(field: Field): number[] {
    if (field.type === WireType.fixed32) return [this.reader.float(field)];
    const bytes = this.reader.bytes(this.reader.message(field));
    this.reader.hold(bytes.length * 2);
    return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i));
  }

  private bigints(field: Field): bigint[] {
    this.reader.hold((field.end - field.start) * 24);
    return [...this.reader.bigints(field)];
  }

  private valueInfo(span: ByteSpan): ValueInfo {
    const { reader } = this;
    reader.hold(heldBytes.value);
    let name = '';
    let type: DataType | undefined;
    let shape: (number | string | null)[] | undefined;
    for (const field of reader.fields(span)) {
      if (field.number === 1) name = reader.string(field);
      else if (field.number === 2) {
        for (const kind of reader.fields(reader.message(field))) {
          if (kind.number !== 1) continue; // only tensors have a type and a shape here
          for (const part of reader.fields(reader.message(kind))) {
            if (part.number === 1) type = reader.int(part);
            else if (part.number === 2) shape = this.shape(name, reader.message(part));
          }
        }
      }
    }
    return { name, ...(type && { type }), ...(shape && { shape }) };
  }

  private shape(name: string, span: ByteSpan): (number | string | null)[] {
    const { reader } = this;
    const shape: (number | string | null)[] = [];
    for (const field of reader.fields(span)) {
      if (field.number !== 1) continue;
      let dim: number | string | null = null;
      for (const part of reader.fields(reader.message(field))) {
        if (part.number === 1) {
          dim = reader.int(part);
          // Exporters write -1 for an unknown extent.
          if (dim === -1) dim = null;
          else if (dim < 0) throw new WireError(`the value ${quoted(name)} has a negative extent (${dim})`);
        } else if (part.number === 2) dim = reader.string(part) || null;
      }
      shape.push(dim);
    }
    return shape;
  }

  private tensor(span: ByteSpan): Tensor {
    const { reader } = this;
    reader.hold(heldBytes.tensor);
    let name = '';
    let type: DataType = DataType.undefined;
    const dims: number[] = [];
    let externally = false;
    const entries = new Map<string, string>();
    let raw: Field | undefined;
    const typed: Field[] = [];
    for (const field of reader.fields(span)) {
      if (field.number === 1) {
        reader.hold((field.end - field.start) * 8);
        for (const dim of reader.ints(field)) dims.push(dim);
      } else if (field.number === 2) type = reader.int(field);
      else if (field.number === 8) name = reader.string(field);
      else if (field.number === 9) raw = field;
      else if (field.number === 13) this.entry(reader.message(field), entries);
      else if (field.number === 14) externally = reader.int(field) === 1;
      else if (field.number === 3) throw new WireError(`the weight ${quoted(name)} is stored in segments`);
      else if (typedFields.has(field.number)) {
        reader.hold(heldBytes.field);
        typed.push(field);
      }
    }
    const negative = dims.find((dim) => dim < 0);
    if (negative !== undefined) throw new WireError(`the weight ${quoted(name)} has a negative extent (${negative})`);
    const count = elementCount(dims);
    if (count > 2 ** 48) throw new WireError(`the weight ${quoted(name)} has an impossible shape [${dims.join(', ')}]`);

    const expected = byteLength(type, dims);
    const data = externally
      ? this.external.range(name, entries, expected)
      : this.inFile(raw ? reader.message(raw) : typedData(reader, name, type, typed));
    const length = data.length;
    if (expected !== undefined && length !== expected) {
      throw new WireError(
        `the weight ${quoted(name)} has ${grouped(length)} bytes where its type and shape [${dims.join(', ')}] need ${grouped(expected)}`,
      );
    }
    if (data instanceof Uint8Array || length > inlineBytes) return { name, type, dims, data };
    return { name, type, dims, data: data.file === this.file ? this.copy(data) : readRange(data) };
  }

  private sparse(span: ByteSpan): Tensor {
    const { reader } = this;
    const parts: Tensor[] = [];
    const dims: number[] = [];
    for (const field of reader.fields(span)) {
      if (field.number === 1 || field.number === 2) parts[field.number - 1] = this.tensor(reader.message(field));
      else if (field.number === 3) for (const dim of reader.ints(field)) dims.push(dim);
    }
    const [values, indices] = parts;
    if (!values || !indices) throw new WireError('a sparse weight lacks its values or their places');
    return dense(values, indices, dims, (bytes) => reader.hold(bytes));
  }

  private copy({ offset, length }: FileRange): Uint8Array {
    return this.reader.bytes({ start: offset, end: offset + length });
  }

  private inFile(data: ByteSpan | Uint8Array): FileRange | Uint8Array {
    if (data instanceof Uint8Array) return data;
    return { file: this.file, offset: data.start, length: data.end - data.start };
  }

  private entry(span: ByteSpan, into: Map<string, string>): void {
    let key = '';
    let value = '';
    for (const field of this.reader.fields(span)) {
      if (field.number === 1) key = this.reader.string(field);
      else if (field.number === 2) value = this.reader.string(field);
    }
    into.set(key, value);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined for bytes that are no text: ONNX allows any bytes as a "string". */
function text(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
