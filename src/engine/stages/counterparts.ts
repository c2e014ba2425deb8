/** The products of a model, each with the same one in a file that was made from it. */
import { isMixture } from '../../anatomy/experts/labels.js';
import { type Flow, flowOf } from '../../anatomy/flow.js';
import type { LinearPart, LinearProduct } from '../../anatomy/linear.js';
import { DataType, intAttribute, type Node } from '../../onnx/model.js';
import { byteLength, elementCount } from '../../onnx/tensor.js';
import type { LoadedModel } from './loaded.js';

/** Where a product reads and what it makes; values of the prepared graph. */
export interface ProductPlace {
  readonly node: Node;
  /** What is multiplied and, of an operator that holds experts, what it chooses them by. */
  readonly inputs: readonly string[];
  /** With its bias where both files have that as a value. */
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
  /** Whether what the reference makes has a bias in it that the file adds later. */
  readonly biased: boolean;
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
  let { without } = before;
  for (const [key, group] of before.places) {
    const others = after.places.get(key) ?? [];
    for (const [i, one] of group.entries()) {
      const named = others.filter(({ node }) => bare(node.name) !== '' && bare(node.name) === bare(one.node.name));
      const other = named.length === 1 ? named[0] : others.length === group.length ? others[i] : undefined;
      const made = other && alike(one.made, other.made);
      if (!other || !made) {
        without++;
        continue;
      }
      const { node, inputs, type, product, block } = one;
      const tensors = product.stored.flatMap((name) => reference.model.graph.initializers.get(name) ?? []);
      found.push({
        block,
        part: product.part,
        reference: { node, inputs, output: made.reference, type },
        model: { node: other.node, inputs: other.inputs, output: made.model, type: other.type },
        biased: made.biased,
        weights: product.stored,
        elements: tensors.reduce((sum, { dims }) => sum + elementCount(dims), 0),
        bytes: tensors.reduce((sum, { type, dims }) => sum + (byteLength(type, dims) ?? 0), 0),
      });
    }
  }
  return { found, without };
}

interface Placed extends Omit<ProductPlace, 'output'> {
  readonly made: Made;
  readonly block: number;
  readonly product: LinearProduct;
}

interface Places {
  readonly places: ReadonlyMap<string, readonly Placed[]>;
  /** Products of blocks that are part of an operator with more inside, or of something else than rows. */
  readonly without: number;
}

/** By block and part, what computes rows of vectors from rows of vectors: products, and operators that hold experts. */
function placesOf(loaded: LoadedModel): Places {
  const flow = flowOf(loaded.model);
  const places = new Map<string, Placed[]>();
  let without = 0;
  const { layers } = loaded.anatomy;
  for (const { block, axis, products } of loaded.linear()) {
    if (block < 1 || block > layers + 1) continue;
    for (const product of products) {
      const { node, side, part, tensor } = product;
      if (part === 'beside') continue;
      const mixes = isMixture(node);
      if (axis !== -1 || (side !== 'right' && !mixes)) {
        without++;
        continue;
      }
      // Experts that another file has written out are several products.
      const key = `${block} ${part} ${mixes}`;
      const inputs = mixes ? [tensor, node.inputs[1] ?? ''] : [readBy(flow, node, tensor)];
      places.set(key, [
        ...(places.get(key) ?? []),
        { block, product, node, inputs, made: madeBy(flow, node), type: typeOf(flow, product) },
      ]);
    }
  }
  return { places, without };
}

/** What a product gives in floats, as far as it is a value of the graph: with the bias that is added to it, and before. */
interface Made {
  readonly biased?: string;
  readonly plain?: string;
}

/** What to take of the reference for what of the file; undefined where the file alone has a bias inside of a product. */
function alike(reference: Made, model: Made) {
  if (reference.biased !== undefined && model.biased !== undefined)
    return { reference: reference.biased, model: model.biased, biased: false };
  const made = reference.plain ?? reference.biased;
  if (made === undefined || model.plain === undefined) return undefined;
  return { reference: made, model: model.plain, biased: reference.plain === undefined };
}

/** The input of a product that is added to what it gives. Source: Operators.md of ONNX, ContribOperators.md of ONNX Runtime. */
const biasInputs: ReadonlyMap<string, number> = new Map([
  ['Gemm', 2],
  ['MatMulNBits', 5],
  ['DynamicQuantizeMatMul', 4],
  ['MatMulIntegerToFloat', 6],
  ['QGemm', 6],
]);

/** What these give is behind a nonlinearity. */
const activating = new Set(['FusedGemm', 'FusedMatMulActivation', 'GemmFastGelu']);

/**
 * Operators that ONNX Runtime's quantiser makes ones on bytes where all that they read is rounded: what it does with the
 * rest is done in floats. Source: `registry.py` of onnxruntime.quantization 1.31.
 */
const onBytes = new Set(['Add', 'Mul', 'MatMul', 'Gemm', 'Sigmoid', 'LeakyRelu', 'Softmax', 'Concat', 'Where']);

/**
 * An integer product gives floats when it is scaled. One whose sums are rounded to a range of their own (a file of static
 * ranges) gives what is behind that: a file that is made without it has no such range.
 */
function madeBy(flow: Flow, node: Node): Made {
  if (activating.has(node.op)) return {};
  let value = node.outputs[0] ?? '';
  const next = (op: string): Node | undefined => {
    const [only, ...others] = flow.consumers(value);
    return only && others.length === 0 && only.op === op && only.domain === '' ? only : undefined;
  };
  const past = (ops: readonly string[]) => {
    for (const op of ops) value = next(op)?.outputs[0] ?? value;
  };
  if (node.op === 'MatMulInteger') past(['Cast', 'Mul']);
  const isOfBytes = node.op === 'QGemm' && (node.inputs[7] ?? '') !== '';
  const exact = value;
  past(isOfBytes ? ['DequantizeLinear'] : ['QuantizeLinear', 'DequantizeLinear']);
  const isRounded = flow.producer(value)?.op === 'DequantizeLinear';
  if (!isRounded || flow.consumers(value).some((reader) => readsBytes(flow, reader))) {
    // Bytes cannot be given in floats.
    if (isOfBytes) return {};
    value = exact;
  }
  if ((node.inputs[biasInputs.get(node.op) ?? -1] ?? '') !== '') return { biased: value };
  const sum = next('Add');
  return { plain: value, ...(sum?.inputs.some(flow.isConstant) && { biased: sum.outputs[0] ?? '' }) };
}

/** What a product reads in floats: rounded where what makes it computes on bytes, which is not done for the product. */
function readBy(flow: Flow, { inputs: [read = ''] }: Node, tensor: string): string {
  const maker = flow.producer(tensor);
  return maker && readsBytes(flow, maker) && flow.producer(read)?.op === 'DequantizeLinear' ? read : tensor;
}

/** Whether a node computes on bytes, so that what it reads is rounded for its own sake. */
function readsBytes(flow: Flow, { op, inputs, outputs: [output = ''] }: Node): boolean {
  const readers = flow.consumers(output);
  const givesBytes = readers.length > 0 && readers.every((reader) => reader.op === 'QuantizeLinear');
  const isProduct = op === 'MatMul' || op === 'Gemm';
  return (
    onBytes.has(op) &&
    (isProduct || givesBytes) &&
    inputs.every((input) => input === '' || flow.producer(input)?.op === 'DequantizeLinear')
  );
}

const floating = new Set<DataType>([DataType.float, DataType.float16, DataType.bfloat16, DataType.double]);

/** Products of packed weights have the type of their scales, and those of integers are scaled in single precision. */
function typeOf(flow: Flow, { node, weights: [weight = ''] }: LinearProduct): DataType {
  const scales = node.op === 'QMoE' ? node.inputs[3] : node.attributes.has('N') ? node.inputs[2] : undefined;
  const type = constantType(flow, scales ?? weight);
  return floating.has(type) ? type : DataType.float;
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
