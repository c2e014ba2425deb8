/** A node as a product with a weight: what it reads, along which axis, and which weights. */
import { intAttribute, intsAttribute, type Node } from '../onnx/model.js';
import type { Flow } from './flow.js';
import { tableRoot } from './inputs/tables.js';
import { attentionOperator } from './operators/table.js';
import { factors, isPassThrough } from './ops.js';

export interface Multiplication {
  readonly node: Node;
  /** What is multiplied, in floats: before it is quantised, and cast, for the product. */
  readonly tensor: string;
  /** The axis of `tensor` that is multiplied, from the end. */
  readonly axis: number;
  /** The constant factors, as the node reads them; several where an operator has several products inside. */
  readonly weights: readonly string[];
  /** Where the weight of a matrix product stands: `right` in x W, `left` in W x; undefined inside an operator. */
  readonly side: 'left' | 'right' | undefined;
}

/** Inputs of mixtures of experts that are weights: up, down and gate. Source: ContribOperators.md of ONNX Runtime. */
const mixtures: ReadonlyMap<string, readonly number[]> = new Map([
  ['MoE', [2, 4, 6]],
  ['QMoE', [2, 5, 8]],
]);

/**
 * A product of an activation with a constant matrix, or with a stack of such, or an operator that begins with one;
 * undefined for any other node, and for a weight that multiplies single numbers (a rotary frequency).
 */
export function multiplication(flow: Flow, node: Node): Multiplication | undefined {
  const mixture = mixtures.get(node.op);
  if (mixture) return inside(flow, node, node.inputs[0] ?? '', mixture);
  const operator = attentionOperator(node);
  const projecting = operator?.inputs.flatMap((role, index) => (role === 'weight' ? [index] : [])) ?? [];
  if (projecting.length > 0) return inside(flow, node, node.inputs[0] ?? '', projecting);
  const pair = factors(node);
  if (!pair) return undefined;
  const [left, right] = pair;
  if (flow.isConstant(left) && flow.isConstant(right)) return undefined;
  const holds = flow.isConstant(left) || flow.isConstant(right) ? flow.isConstant : isChosen.bind(undefined, flow);
  if (holds(left) === holds(right)) return undefined;
  const side = holds(right) ? 'right' : 'left';
  const [read, weight] = side === 'right' ? [left, right] : [right, left];
  const axis = axisOf(flow, node, side, weight);
  if (axis === undefined || isOuter(flow, node, weight, side)) return undefined;
  return { node, tensor: unrounded(flow, read), axis, weights: [weight], side };
}

/** Matrices picked from a constant stack of them, as those of the experts that a token is sent to. */
function isChosen(flow: Flow, value: string): boolean {
  for (let node = flow.producer(value); node; node = flow.producer(node.inputs[0] ?? '')) {
    const [table = ''] = node.inputs;
    if (node.op === 'Gather' || node.op === 'GatherND') return (tableExtents(flow, table)?.length ?? 0) > 2;
    if (!isPassThrough(node) && node.op !== 'Transpose') return false;
  }
  return false;
}

const tableExtents = (flow: Flow, table: string) =>
  flow.model.graph.initializers.get(tableRoot(flow, table) ?? '')?.dims;

function inside(flow: Flow, node: Node, read: string, places: readonly number[]): Multiplication | undefined {
  const weights = places.map((at) => node.inputs[at] ?? '').filter((name) => name !== '' && flow.isConstant(name));
  if (weights.length === 0 || flow.isConstant(read)) return undefined;
  return { node, tensor: unrounded(flow, read), axis: -1, weights, side: undefined };
}

const rounding = new Set([
  'Identity',
  'Cast',
  'CastLike',
  'Dropout',
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
]);

/** `value` before casts and quantisation, in the shape in which it is read. */
function unrounded(flow: Flow, value: string): string {
  let current = value;
  for (;;) {
    const node = flow.producer(current);
    const input = node && rounding.has(node.op) ? node.inputs[0] : undefined;
    if (!input || flow.isConstant(input)) return current;
    current = input;
  }
}

/** The axis of the activation that is summed over; undefined where it is no one axis of tokens' vectors. */
function axisOf(flow: Flow, node: Node, side: 'left' | 'right', weight: string): number | undefined {
  if (node.op === 'Einsum') return summedAxis(node, side);
  if (node.op.includes('Conv')) {
    // [batch, channels, places…]
    const kernel = intsAttribute(node, 'kernel_shape') ?? flow.model.graph.initializers.get(weight)?.dims.slice(2);
    const isPointwise = kernel?.every((extent) => extent === 1) && intAttribute(node, 'group', 1) === 1;
    return isPointwise ? -1 - kernel.length : undefined;
  }
  const turned = intAttribute(node, side === 'right' ? 'transA' : 'transB', 0) !== 0;
  return (side === 'right') === turned ? -2 : -1;
}

function summedAxis(node: Node, side: 'left' | 'right'): number | undefined {
  const attribute = node.attributes.get('equation');
  const [inputs = '', output] = (attribute?.kind === 'string' ? attribute.value : '').replaceAll(' ', '').split('->');
  const terms = inputs.split(',');
  const [read, weight] = side === 'right' ? terms : [terms[1], terms[0]];
  if (read === undefined || weight === undefined || output === undefined || terms.length !== 2) return undefined;
  const summed = [...read].filter((letter) => /\w/.test(letter) && weight.includes(letter) && !output.includes(letter));
  const [letter] = summed;
  const axis = letter === undefined || summed.length > 1 ? undefined : read.lastIndexOf(letter) - read.length;
  // Further from the end it is no token's vector that is multiplied: heads are mixed, say.
  return axis === undefined || axis < -2 ? undefined : axis;
}

/** The weight has one row: it scales single numbers. */
function isOuter(flow: Flow, node: Node, weight: string, side: 'left' | 'right'): boolean {
  if (node.op === 'Einsum' || node.op.includes('Conv') || node.attributes.has('N')) return false;
  let value = weight;
  let turned = intAttribute(node, side === 'right' ? 'transB' : 'transA', 0) !== 0;
  for (let step = 0; step < 8; step++) {
    const dims = flow.model.graph.initializers.get(value)?.dims;
    if (dims) return dims.length < 2 ? false : dims.at((side === 'right') === turned ? -1 : -2) === 1;
    const maker = flow.producer(value);
    if (maker?.op === 'Transpose') turned = !turned;
    value = maker?.inputs[0] ?? '';
  }
  return false;
}
