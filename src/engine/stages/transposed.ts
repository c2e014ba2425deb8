/** A rewrite for sessions that run once. */
import { DataType, intsAttribute, type Model, type Node } from '../../onnx/model.js';

/**
 * The model with every product by a transposed weight as one operator. ONNX Runtime would transpose the weight when
 * it makes the session, which costs more than the product itself where few rows go through it once: the output head
 * above all, whose weight is the embedding table.
 *
 * @param asked values that stay what products read
 */
export function multiplyTransposed(model: Model, asked: ReadonlySet<string> = new Set()): Model {
  const { initializers } = model.graph;
  /** Transposed weights to the weights themselves. */
  const sources = new Map<string, string>();
  for (const node of model.graph.nodes) {
    const [source = ''] = node.inputs;
    const [output] = node.outputs;
    const weight = isOperator(node, 'Transpose') ? initializers.get(source) : undefined;
    const perm = intsAttribute(node, 'perm') ?? [1, 0];
    if (
      output !== undefined &&
      !asked.has(output) &&
      weight?.type === DataType.float &&
      weight.dims.length === 2 &&
      perm[0] === 1
    ) {
      sources.set(output, source);
    }
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

function isOperator(node: Node, op: string): boolean {
  return node.domain === '' && node.op === op;
}
