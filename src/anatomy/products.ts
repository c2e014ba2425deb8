/** The matrix product that a value ends in, seen back through biases, scalings, norms and caps. */
import { intAttribute, type Node } from '../onnx/model.js';
import { declaredExtents } from './extents.js';
import { type Flow, stripped } from './flow.js';
import { factors, isPassThrough, isPointwise } from './ops.js';

export interface WeightProduct {
  readonly node: Node;
  /** What the weight multiplies, before it was quantised or reshaped for the product. */
  readonly activation: string;
  /** The constant factor. */
  readonly weight: string;
  /** Elements of a vector before and after, where the file tells. */
  readonly rows: number | undefined;
  readonly columns: number | undefined;
}

/** How many values a way back may visit before it is given up as no simple ending. */
const maxVisits = 64;

/** Where the ways back from a value end. */
export interface Endings {
  readonly products: readonly WeightProduct[];
  /** What else ended a way: a product with a stack of weights or with another activation, or an operator that is opaque. */
  readonly obstacles: readonly { readonly node: Node; readonly reason: 'stacked' | 'opaque' }[];
}

/** Which ways back are gone. */
interface Within {
  /** Only nodes among these; undefined for all. */
  readonly nodes?: ReadonlySet<Node>;
  /** Not to what only gates another value, 0 to 1. */
  readonly ungated?: boolean;
}

/** The ways back from `value` through pointwise operators, up to products and operators that are none. */
export function endings(flow: Flow, value: string, { nodes, ungated = false }: Within = {}): Endings {
  const products = new Map<Node, WeightProduct>();
  const obstacles = new Map<Node, 'stacked' | 'opaque'>();
  const seen = new Set<string>([value]);
  const open = [value];
  for (let current = open.pop(); current !== undefined && seen.size < maxVisits; current = open.pop()) {
    const node = flow.producer(current);
    if (!node || (nodes && !nodes.has(node))) continue;
    // The scale of a dynamic quantisation comes from the activation, but by no product.
    if (isPassThrough(node) && node.outputs[0] !== current) continue;
    const product = weightProduct(flow, node);
    const pair = factors(node);
    if (product) products.set(node, product);
    else if (pair) obstacles.set(node, pair.some(flow.isConstant) ? 'stacked' : 'opaque');
    else if (!isPointwise(node)) obstacles.set(node, 'opaque');
    else
      for (const input of flow.reads(node))
        if (!seen.has(input) && !(ungated && node.op === 'Mul' && isGate(flow, input))) {
          seen.add(input);
          open.push(input);
        }
  }
  return {
    products: [...products.values()],
    obstacles: [...obstacles].map(([node, reason]) => ({ node, reason })),
  };
}

const isGate = (flow: Flow, value: string) =>
  ['Sigmoid', 'HardSigmoid'].includes(flow.producer(stripped(flow, value))?.op ?? '');

/**
 * The one product with a two-dimensional weight from which `value` is computed by pointwise operators alone, or
 * undefined where there are several (a mixture of experts, a sum of branches) or none. A low-rank adapter beside the
 * product, which multiplies the same activation by two small weights in turn, does not count.
 */
export const lastProduct = (flow: Flow, value: string): WeightProduct | undefined =>
  onlyOne(flow, endings(flow, value).products);

/**
 * The last product of a branch as {@link lastProduct}, whatever scales or gates its result: what does not come from
 * the stream itself (a condition), and what is a gate that another product makes.
 */
export function branchProduct(
  flow: Flow,
  { output, nodes }: { readonly output: string; readonly nodes: ReadonlySet<Node> },
): WeightProduct | undefined {
  const all = endings(flow, output, { nodes }).products;
  const only = onlyOne(flow, all);
  if (only || all.length === 0) return only;
  const ungated = onlyOne(flow, endings(flow, output, { nodes, ungated: true }).products);
  // A gated unit is no gate at the end of a branch: both of its products read the same.
  const isAlone = all.every(({ node, activation }) => node === ungated?.node || activation !== ungated?.activation);
  return isAlone ? ungated : undefined;
}

function onlyOne(flow: Flow, products: readonly WeightProduct[]): WeightProduct | undefined {
  const others = products.filter(({ activation }) => {
    const node = flow.producer(activation);
    const inner = node && weightProduct(flow, node);
    return !inner || !products.some((product) => product.activation === inner.activation);
  });
  return others.length === 1 ? others[0] : undefined;
}

/** `node` as a product of an activation with a two-dimensional weight. */
export function weightProduct(flow: Flow, node: Node): WeightProduct | undefined {
  const pair = factors(node);
  if (!pair || isConstantPair(flow, pair)) return undefined;
  const [left, right] = pair;
  const weight = flow.isConstant(right) ? right : flow.isConstant(left) ? left : undefined;
  if (weight === undefined) return undefined;
  const dims = matrixOf(flow, weight);
  if (dims === undefined) return undefined;
  return {
    node,
    activation: stripped(flow, weight === right ? left : right),
    weight,
    ...extentsOf(flow, node, dims, weight === left),
  };
}

const isConstantPair = (flow: Flow, [left, right]: readonly [string, string]) =>
  flow.isConstant(left) && flow.isConstant(right);

/** Dims of a constant matrix, null where they are not known; undefined for stacked matrices. */
export function matrixOf(flow: Flow, weight: string): readonly number[] | null | undefined {
  let value = weight;
  let transposed = false;
  for (let step = 0; step < 8; step++) {
    const tensor = flow.model.graph.initializers.get(value);
    if (tensor) {
      if (tensor.dims.filter((extent) => extent !== 1).length > 2 && !isPacked(flow, weight)) return undefined;
      return transposed ? [...tensor.dims].reverse() : tensor.dims;
    }
    const node = flow.producer(value);
    if (!node?.inputs[0]) return null;
    if (node.op === 'Transpose') transposed = !transposed;
    value = node.inputs[0];
  }
  return null;
}

/** Block-quantised weights are stored as [N, blocks, bytes], whatever their own shape. */
const isPacked = (flow: Flow, weight: string): boolean =>
  flow.consumers(weight).some((node) => node.op === 'MatMulNBits' || node.op === 'MatMulBnb4');

/** @param isLeft whether the weight is the first factor */
function extentsOf(flow: Flow, node: Node, dims: readonly number[] | null, isLeft: boolean) {
  if (node.attributes.has('N')) return { rows: intAttribute(node, 'K', 0), columns: intAttribute(node, 'N', 0) };
  // [columns, rows of a group, …] over the second axis, wherever the others lie.
  if (node.op.includes('Conv'))
    return { rows: dims?.[1] && dims[1] * intAttribute(node, 'group', 1), columns: dims?.[0] };
  if (isLeft && dims && dims.length > 1) {
    const [first, last] = [dims.at(-2), dims.at(-1)];
    return intAttribute(node, 'transA', 0) ? { rows: first, columns: last } : { rows: last, columns: first };
  }
  const declared = declaredExtents(flow, node.outputs[0] ?? '')?.at(-1);
  if (!dims || dims.length < 2) return { rows: undefined, columns: declared };
  const [first, last] = [dims[0], dims.at(-1)];
  return intAttribute(node, 'transB', 0) ? { rows: last, columns: first } : { rows: first, columns: declared ?? last };
}
