/** A rewrite for sessions that run once. */
import { DataType, intAttribute, intsAttribute, type Model, type Node, type Tensor } from '../../onnx/model.js';

/**
 * The model with every product by a transposed weight as one operator. ONNX Runtime would transpose the weight when
 * it makes the session, which costs more than the product itself where few rows go through it once: the output head
 * above all, whose weight is the embedding table, as it is or cast from the precision that it is stored in.
 *
 * @param asked values that stay what products read
 */
export function multiplyTransposed(model: Model, asked: ReadonlySet<string> = new Set()): Model {
  const { initializers } = model.graph;
  /** Weights in single precision, also those that are stored in another. */
  const weights = new Set([...initializers].flatMap(([name, one]) => (isMatrix(one, DataType.float) ? [name] : [])));
  /** Transposed weights to the weights themselves. */
  const sources = new Map<string, string>();
  for (const node of model.graph.nodes) {
    const [source = ''] = node.inputs;
    const [output] = node.outputs;
    if (output === undefined) continue;
    const stored = isOperator(node, 'Cast') ? initializers.get(source) : undefined;
    if (stored && isMatrix(stored) && intAttribute(node, 'to', 0) === DataType.float) weights.add(output);
    const perm = intsAttribute(node, 'perm') ?? [1, 0];
    if (isOperator(node, 'Transpose') && perm[0] === 1 && weights.has(source) && !asked.has(output))
      sources.set(output, source);
  }
  if (sources.size === 0) return model;
  const nodes = model.graph.nodes.map((node): Node => {
    const [rows = '', weight = ''] = node.inputs;
    const source = isOperator(node, 'MatMul') ? sources.get(weight) : undefined;
    if (source === undefined) return node;
    const attributes = new Map([['transB', { kind: 'int', value: 1n } as const]]);
    return { ...node, op: 'FusedMatMul', domain: 'com.microsoft', inputs: [rows, source], attributes };
  });
  const opsets = new Map(model.opsets).set('com.microsoft', 1);
  return { ...model, opsets, graph: { ...model.graph, nodes } };
}

const isMatrix = ({ dims, type }: Tensor, as = type): boolean => dims.length === 2 && type === as;

function isOperator(node: Node, op: string): boolean {
  return node.domain === '' && node.op === op;
}
