/** Where a model's weights are and how much they take. */
import {
  type Attribute,
  DataType,
  type FileRange,
  type Graph,
  intAttribute,
  type Model,
  type Node,
  type Tensor,
} from './model.js';
import { elementCount } from './tensor.js';

/** Bytes of all weights; one that several tensors share (tied embeddings) counts once. */
export function weightBytes(model: Model): number {
  let bytes = 0;
  for (const { length } of weightRanges(model)) bytes += length;
  for (const { data } of tensors(model)) if (data instanceof Uint8Array) bytes += data.length;
  return bytes;
}

/** Absolute paths of the files that hold weights of more than 1 KB, each once; the model file is one where it does. */
export function dataFiles(model: Model): string[] {
  const files = new Set<string>();
  for (const { data } of tensors(model)) if (!(data instanceof Uint8Array)) files.add(data.file);
  return [...files];
}

/** Where weights of more than 1 KB lie, in the model's order; one that several tensors share is there once. */
export function weightRanges(model: Model): FileRange[] {
  const ranges = new Map<string, FileRange>();
  for (const { data } of tensors(model)) {
    if (!(data instanceof Uint8Array)) ranges.set(`${data.offset}+${data.length} ${data.file}`, data);
  }
  return [...ranges.values()];
}

/** All weights of a model with the names that the file has for them: of a `Constant`, that of its output. */
export function* namedWeights(model: Model): Generator<Tensor> {
  yield* namedIn(model.graph);
  for (const { nodes } of model.functions) for (const node of nodes) yield* namedOf(node);
}

function* namedIn({ initializers, nodes }: Graph): Generator<Tensor> {
  yield* initializers.values();
  for (const node of nodes) yield* namedOf(node);
}

function* namedOf({ outputs: [name = ''], attributes }: Node): Generator<Tensor> {
  for (const attribute of attributes.values()) {
    if (attribute.kind === 'tensor') yield { ...attribute.value, name };
    else if (attribute.kind === 'graph') yield* namedIn(attribute.value);
    else if (attribute.kind === 'graphs') for (const graph of attribute.value) yield* namedIn(graph);
  }
}

/** Types of what a model has learned; whole numbers of 32 bits and more are shapes and indices. */
const learned: ReadonlySet<number> = new Set([
  ...[DataType.float, DataType.float16, DataType.bfloat16, DataType.double],
  ...[DataType.int8, DataType.uint8, DataType.int4, DataType.uint4],
  ...[17, 18, 19, 20, 23, 25, 26], // floats of 8 and 4 bits, integers of 2
]);

/** By the name of a weight of bytes into which smaller numbers are packed: how many bits each of these has. */
export function packedBits({ graph }: Model): ReadonlyMap<string, number> {
  const bits = new Map<string, number>();
  for (const node of graph.nodes) {
    if (node.op === 'MatMulNBits') bits.set(node.inputs[1] ?? '', intAttribute(node, 'bits', 4));
    if (node.op === 'GatherBlockQuantized') bits.set(node.inputs[0] ?? '', intAttribute(node, 'bits', 4));
  }
  return bits;
}

/**
 * How many numbers a model has learned, as its shapes say: weights that several names share count once, of quantised
 * ones neither scales nor zero points, of those that are packed into bytes each that is in them.
 */
export function parameterCount(model: Model): number {
  const scales = new Set<string>();
  const packed = packedBits(model);
  for (const { op, inputs } of model.graph.nodes) {
    if (/^(Dequantize|Quantize)Linear$/.test(op)) for (const name of inputs.slice(1)) scales.add(name);
    // A, B, scales, zero_points, g_idx, bias.
    if (op === 'MatMulNBits') for (const name of inputs.slice(2, 5)) scales.add(name);
    if (op === 'GatherBlockQuantized') for (const name of inputs.slice(2)) scales.add(name);
    // A, its scale and zero point, B, its scale and zero point, then those of the result.
    if (/^QLinear(MatMul|Conv)$/.test(op)) for (const at of [1, 2, 4, 5, 6, 7]) scales.add(inputs[at] ?? '');
    if (op === 'MatMulInteger' || op === 'ConvInteger') for (const name of inputs.slice(2)) scales.add(name);
  }
  const counted = new Set<string>();
  let count = 0;
  for (const { name, type, dims, data } of namedWeights(model)) {
    // A single number is an epsilon, a scale, a bound.
    if (!learned.has(type) || scales.has(name) || elementCount(dims) === 1) continue;
    const range = data instanceof Uint8Array ? '' : `${data.offset}+${data.length} ${data.file}`;
    if (range !== '' && counted.has(range)) continue;
    counted.add(range);
    count += elementCount(dims) * (type === DataType.uint8 ? 8 / (packed.get(name) ?? 8) : 1);
  }
  return count;
}

function* tensors(model: Model): Generator<Tensor> {
  yield* graphTensors(model.graph);
  for (const { nodes } of model.functions) yield* nodeTensors(nodes);
}

function* graphTensors(graph: Graph): Generator<Tensor> {
  yield* graph.initializers.values();
  yield* nodeTensors(graph.nodes);
}

function* nodeTensors(nodes: readonly Node[]): Generator<Tensor> {
  for (const node of nodes) for (const attribute of node.attributes.values()) yield* attributeTensors(attribute);
}

function* attributeTensors(attribute: Attribute): Generator<Tensor> {
  if (attribute.kind === 'tensor') yield attribute.value;
  else if (attribute.kind === 'graph') yield* graphTensors(attribute.value);
  else if (attribute.kind === 'graphs') for (const graph of attribute.value) yield* graphTensors(graph);
}
