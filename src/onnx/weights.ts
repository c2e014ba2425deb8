/** Where a model's weights are and how much they take. */
import type { Attribute, FileRange, Graph, Model, Node, Tensor } from './model.js';

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
