/** The products of a model, each with the same one in a file that was made from it. */
import { isMixture } from '../../anatomy/experts/labels.js';
import { type Flow, flowOf } from '../../anatomy/flow.js';
import type { LinearPart, LinearProduct } from '../../anatomy/linear.js';
import { weightProduct } from '../../anatomy/products.js';
import { SinkscopeError } from '../../errors.js';
import { DataType, intAttribute, type Node } from '../../onnx/model.js';
import { byteLength, elementCount } from '../../onnx/tensor.js';
import { cosinesWith } from '../../statistics/likeness.js';
import { uniform } from '../../statistics/random.js';
import { filled, floats, type Value } from '../tensors/value.js';
import type { LoadedModel } from './loaded.js';
import type { StageRunner } from './runner.js';

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
 * What each product with a weight is in the other file: told by what it is to its block and, among several of a kind, by
 * its name or by what it gives.
 *
 * @param alike what {@link likenesses} gives; without it the model is the reference rewritten, in the same order
 */
export function counterparts(
  reference: LoadedModel,
  model: LoadedModel,
  alike?: ReadonlyMap<Node, Node>,
): Counterparts {
  const [before, after] = [placesOf(reference), placesOf(model)];
  const found: Counterpart[] = [];
  let { without } = before;
  for (const [key, group] of before.places) {
    const others = after.places.get(key) ?? [];
    const named = namesakes(group, others);
    for (const [i, one] of group.entries()) {
      const other = named.get(one) ?? (alike ? others.find(({ node }) => node === alike.get(one.node)) : others[i]);
      const made = other && madeAlike(one.made, other.made);
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

/** Those that are the only ones of a kind, or of a name. */
function namesakes(group: readonly Placed[], others: readonly Placed[]): ReadonlyMap<Placed, Placed> {
  const nameOf = ({ node }: Placed) => bare(node.name);
  const pairs = group.flatMap((one) => {
    const isNamesake = (other: Placed) => nameOf(other) !== '' && nameOf(other) === nameOf(one);
    const [other, ...more] = group.length === 1 && others.length === 1 ? others : others.filter(isNamesake);
    return other && more.length === 0 && group.filter(isNamesake).length <= 1 ? [[one, other] as const] : [];
  });
  return new Map(pairs);
}

/** Rows that products are held against each other by. */
const probed = 8;

/** Of what two products give for the same rows; quantised to 4 bits it is above 0.9, and of two weights about 0. */
const leastCorrelation = 0.5;

/**
 * Of the reference's products that neither their part nor their name tells in the other file, the node that gives most
 * nearly the same for the same random rows, biases aside. Where none does, or it cannot be run by itself, it has none.
 */
export async function likenesses(reference: StageRunner, model: StageRunner): Promise<ReadonlyMap<Node, Node>> {
  const alike = new Map<Node, Node>();
  const [before, after] = [placesOf(reference.loaded), placesOf(model.loaded)];
  for (const [key, group] of before.places) {
    const candidates = after.places.get(key) ?? [];
    const named = namesakes(group, candidates);
    const [ones, others] = [
      group.filter((one) => !named.has(one)),
      candidates.filter((other) => ![...named.values()].includes(other)),
    ];
    if (ones.length === 0 || others.length === 0) continue;
    const given: Float32Array[] = [];
    for (const other of others) given.push(await givenBy(model, other));
    const found: (readonly [one: Node, other: Node, correlation: number])[] = [];
    for (const one of ones) {
      const own = await givenBy(reference, one);
      for (const [i, other] of others.entries()) found.push([one.node, other.node, correlation(own, given[i])]);
    }
    const taken = new Set<Node>();
    for (const [one, other, by] of found.toSorted(([, , a], [, , b]) => b - a)) {
      if (by < leastCorrelation || alike.has(one) || taken.has(other)) continue;
      alike.set(one, other);
      taken.add(other);
    }
  }
  return alike;
}

/** Of values without their means; 0 for those of two shapes. */
function correlation(one: Float32Array, other: Float32Array = new Float32Array()): number {
  return one.length === other.length ? (cosinesWith(one, other)[0] ?? 0) || 0 : 0;
}

/** What a product gives for random rows, less its mean over them; nothing where it cannot be run by itself. */
async function givenBy(runner: StageRunner, { alone, block, type }: Placed): Promise<Float32Array> {
  if (!alone) return new Float32Array();
  const { input, output, dims } = alone;
  const random = uniform(0);
  const rows = filled(type, dims, () => 2 * random() - 1);
  const stage = { first: block, last: block, inputs: [input], outputs: [output], wide: [input] };
  let made: Value | undefined;
  try {
    made = (await runner.run(stage, new Map([[input, rows]]), false)).get(output);
  } catch (error) {
    if (!(error instanceof SinkscopeError)) throw error;
  }
  if (!made) return new Float32Array();
  const values = floats(made);
  const width = values.length / probed;
  const means = new Float32Array(width);
  for (const [i, value] of values.entries()) means[i % width] = (means[i % width] ?? 0) + value / probed;
  return values.map((value, i) => value - (means[i % width] ?? 0));
}

interface Placed extends Omit<ProductPlace, 'output'> {
  readonly made: Made;
  readonly alone: Alone | undefined;
  readonly block: number;
  readonly product: LinearProduct;
}

/** A product by itself, without what rounds its input and output to ranges where that can be. */
interface Alone {
  readonly input: string;
  readonly output: string;
  /** Of some rows of what it reads. */
  readonly dims: readonly number[];
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
      const made = madeBy(flow, node);
      const one = {
        block,
        product,
        node,
        inputs,
        made,
        alone: aloneOf(flow, product, made),
        type: typeOf(flow, product),
      };
      places.set(key, [...(places.get(key) ?? []), one]);
    }
  }
  return { places, without };
}

/** What a product gives in floats, as far as it is a value of the graph: with the bias that is added to it, and before. */
interface Made {
  readonly biased?: string;
  readonly plain?: string;
}

/** Products that read bytes. */
const ofBytes = new Set(['MatMulInteger', 'MatMulIntegerToFloat', 'QGemm']);

function aloneOf(flow: Flow, { node, tensor, weights: [weight = ''] }: LinearProduct, made: Made): Alone | undefined {
  const width = weightProduct(flow, node)?.rows;
  if (width === undefined || !flow.isConstant(weight)) return undefined;
  const dims = node.op.includes('Gemm') ? [probed, width] : [1, probed, width];
  const output = made.plain ?? made.biased ?? '';
  return ofBytes.has(node.op)
    ? { input: tensor, output, dims }
    : { input: node.inputs[0] ?? '', output: node.outputs[0] ?? '', dims };
}

/** What to take of the reference for what of the file; undefined where the file alone has a bias inside of a product. */
function madeAlike(reference: Made, model: Made) {
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
