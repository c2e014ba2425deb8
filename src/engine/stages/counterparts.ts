/** The products of a model, each with the same one in a file that was made from it. */
import { type Flow, flowOf } from '../../anatomy/flow.js';
import type { LinearPart, LinearProduct } from '../../anatomy/linear.js';
import { DataType, intAttribute, type Node } from '../../onnx/model.js';
import { byteLength, elementCount } from '../../onnx/tensor.js';
import type { LoadedModel } from './loaded.js';

/** Where a product reads and what it makes, bias included; values of the prepared graph. */
export interface ProductPlace {
  readonly node: Node;
  readonly input: string;
  readonly output: string;
  /** The element type that it computes in. */
  readonly type: DataType;
}

export interface Counterpart {
  /** From 1; L + 1 is the output head. */
  readonly block: number;
  readonly part: LinearPart;
  readonly reference: ProductPlace;
  readonly model: ProductPlace;
  /** The initializers that the weight is made of, as the model's file names them. */
  readonly weights: readonly string[];
  /** Elements of the weight, and its bytes in the model's file. */
  readonly elements: number;
  readonly bytes: number;
}

export interface Counterparts {
  /** In the order of the model. */
  readonly found: readonly Counterpart[];
  /** Products of the model's blocks that no one product of the file could be told to be. */
  readonly without: number;
}

/**
 * What each product with a weight is in the other file: told by what it is to its block and, among several of a kind,
 * by its name or, where there are as many, by their order.
 */
export function counterparts(reference: LoadedModel, model: LoadedModel): Counterparts {
  const [before, after] = [placesOf(reference), placesOf(model)];
  const found: Counterpart[] = [];
  let without = 0;
  for (const [key, group] of before) {
    const others = after.get(key) ?? [];
    for (const [i, one] of group.entries()) {
      const named = others.filter(({ node }) => bare(node.name) !== '' && bare(node.name) === bare(one.node.name));
      const other = named.length === 1 ? named[0] : others.length === group.length ? others[i] : undefined;
      if (!other) {
        without++;
        continue;
      }
      const { node, input, output, type, product, block } = one;
      const tensors = product.stored.flatMap((name) => reference.model.graph.initializers.get(name) ?? []);
      found.push({
        block,
        part: product.part,
        reference: { node, input, output, type },
        model: { node: other.node, input: other.input, output: other.output, type: other.type },
        weights: product.stored,
        elements: tensors.reduce((sum, { dims }) => sum + elementCount(dims), 0),
        bytes: tensors.reduce((sum, { type, dims }) => sum + (byteLength(type, dims) ?? 0), 0),
      });
    }
  }
  return { found, without };
}

interface Placed extends ProductPlace {
  readonly block: number;
  readonly product: LinearProduct;
}

/** By block and part, the products of rows of vectors with a matrix on their right. */
function placesOf(loaded: LoadedModel): ReadonlyMap<string, readonly Placed[]> {
  const flow = flowOf(loaded.model);
  const places = new Map<string, Placed[]>();
  const { layers } = loaded.anatomy;
  for (const { block, axis, products } of loaded.linear()) {
    if (block < 1 || block > layers + 1 || axis !== -1) continue;
    for (const product of products) {
      if (product.side !== 'right' || product.part === 'beside') continue;
      const key = `${block} ${product.part}`;
      const { node, tensor } = product;
      places.set(key, [
        ...(places.get(key) ?? []),
        { block, product, node, input: tensor, output: outputOf(flow, node), type: typeOf(flow, product) },
      ]);
    }
  }
  return places;
}

/** What a product gives in floats: an integer one when it is scaled, and with the bias that is added to it. */
function outputOf(flow: Flow, node: Node): string {
  let value = node.outputs[0] ?? '';
  const next = (op: string): Node | undefined => {
    const [only, ...others] = flow.consumers(value);
    return only && others.length === 0 && only.op === op && only.domain === '' ? only : undefined;
  };
  if (node.op === 'MatMulInteger') {
    for (const op of ['Cast', 'Mul']) value = next(op)?.outputs[0] ?? value;
  }
  const sum = next('Add');
  return sum?.inputs.some(flow.isConstant) ? (sum.outputs[0] ?? value) : value;
}

/** Products of packed weights have the type of their scales, and those of integers are scaled in single precision. */
function typeOf(flow: Flow, { node, weights: [weight = ''] }: LinearProduct): DataType {
  if (node.op === 'MatMulInteger') return DataType.float;
  return constantType(flow, node.attributes.has('N') ? (node.inputs[2] ?? '') : weight) || DataType.float;
}

/** A node's name without what quantisers add to it. */
const bare = (name: string) => name.replace(/(_quant|_Q4|_Q8|_Q4G\d+)$/, '');

/** The element type of a constant, as far as operators that keep or state it lead back. */
export function constantType(flow: Flow, value: string): DataType {
  const tensor = flow.model.graph.initializers.get(value);
  if (tensor) return tensor.type;
  const node = flow.producer(value);
  if (!node) return DataType.undefined;
  if (node.op === 'Cast') return intAttribute(node, 'to', DataType.undefined);
  const source = node.op === 'DequantizeLinear' ? node.inputs[1] : node.inputs[0];
  return constantType(flow, source ?? '');
}
