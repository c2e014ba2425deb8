/**
 * Factors that ONNX Runtime's own optimisation moved into a product (`FusedMatMul`, docs/ContribOperators.md) and that
 * belong to what is multiplied, taken out again.
 */
import { DataType, floatAttribute, type Graph, type Node, type Tensor } from './model.js';
import type { Pass } from './pass.js';
import { ordered } from './scope.js';
import { constantNumbers, elementCount } from './tensor.js';

/** A product of an activation with a weight that multiplies by a factor too. */
interface Product {
  readonly node: Node;
  readonly activation: string;
  readonly factor: number;
}

/**
 * A `FusedMatMul` with a weight multiplies by no factor by which its activation is multiplied elsewhere too (√D of a
 * normed stream), nor by the half of a GELU that is written out. After it such an activation is a value of the graph.
 * A factor of which nothing tells where it was stays in the product.
 */
export const unfoldFactors: Pass = (graph, { names }) => {
  const products = graph.nodes.flatMap((node) => productOf(graph, node) ?? []);
  if (products.length === 0) return graph;
  const scaled = scaledValues(graph);
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const initializers = new Map(graph.initializers);
  const nodes: Node[] = [];
  const replaced = new Map<Node, Node>();
  for (const { node, activation, factor } of products) {
    const key = keyOf(activation, factor);
    if (!scaled.has(key) && factor === 0.5 && isTwiceGelu(graph, producers, activation)) {
      const [half, gelu] = [names.fresh(`${activation}#half`), names.fresh(`${activation}#gelu`)];
      initializers.set(half, scalar(half, factor));
      nodes.push({ ...multiplied, name: node.name, inputs: [activation, half], outputs: [gelu] });
      scaled.set(key, gelu);
    }
    const value = scaled.get(key);
    if (value === undefined) continue;
    const inputs = node.inputs.map((input) => (input === activation ? value : input));
    replaced.set(node, { ...node, inputs, attributes: new Map(node.attributes).set('alpha', one) });
  }
  if (replaced.size === 0) return graph;
  for (const node of graph.nodes) nodes.push(replaced.get(node) ?? node);
  return ordered({ ...graph, nodes, initializers });
};

const multiplied = { op: 'Mul', domain: '', attributes: new Map() };
const one = { kind: 'float', value: 1 } as const;

const keyOf = (value: string, factor: number) => `${factor} ${value}`;

function productOf(graph: Graph, node: Node): Product | undefined {
  const factor = floatAttribute(node, 'alpha', 1);
  if (node.op !== 'FusedMatMul' || node.domain !== 'com.microsoft' || factor === 1) return undefined;
  const [activation, ...others] = node.inputs.filter((input) => !graph.initializers.has(input));
  return activation !== undefined && others.length === 0 ? { node, activation, factor } : undefined;
}

/** Products of a value and a number, by {@link keyOf}. */
function scaledValues(graph: Graph): Map<string, string> {
  const scaled = new Map<string, string>();
  for (const { op, domain, inputs, outputs } of graph.nodes) {
    if (op !== 'Mul' || domain !== '') continue;
    for (const [value = '', other = ''] of [inputs, [...inputs].reverse()]) {
      const factor = numberOf(graph, other);
      if (factor !== undefined) scaled.set(keyOf(value, factor), outputs[0] ?? '');
    }
  }
  return scaled;
}

function numberOf({ initializers }: Pick<Graph, 'initializers'>, name: string): number | undefined {
  const tensor = initializers.get(name);
  return tensor?.type === DataType.float && elementCount(tensor.dims) === 1 ? constantNumbers(tensor)[0] : undefined;
}

/** x · (1 + tanh …) or x · (1 + erf …), where x has not been halved. */
export function isTwiceGelu(
  graph: Pick<Graph, 'initializers'>,
  producers: { readonly get: (value: string) => Node | undefined },
  value: string,
): boolean {
  const product = producers.get(value);
  if (product?.op !== 'Mul') return false;
  return [product.inputs, [...product.inputs].reverse()].some(([x = '', other = '']) => {
    const sum = producers.get(other);
    const isSum = sum?.op === 'Add' && sum.inputs.some((term) => numberOf(graph, term) === 1);
    const isCurve = isSum && sum.inputs.some((term) => ['Tanh', 'Erf'].includes(producers.get(term)?.op ?? ''));
    const before = producers.get(x);
    return isCurve && !(before?.op === 'Mul' && before.inputs.some((term) => numberOf(graph, term) === 0.5));
  });
}

const scalar = (name: string, value: number): Tensor => ({
  name,
  type: DataType.float,
  dims: [],
  data: new Uint8Array(Float32Array.of(value).buffer),
});
