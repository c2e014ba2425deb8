/** Products of an activation with a matrix of floats, whose weight can be added to and taken from. */
import type { Flow } from '../../anatomy/flow.js';
import type { LinearProduct } from '../../anatomy/linear.js';
import { operatorName } from '../../anatomy/ops.js';
import { matrixOf } from '../../anatomy/products.js';
import { DataType, floatAttribute, intAttribute, type Node } from '../../onnx/model.js';

/** x W, x [..., inputs], with or without a bias. */
export interface PlainProduct {
  readonly node: Node;
  /** As the node reads it: [inputs, outputs], or [outputs, inputs] where it is `turned`. */
  readonly weight: string;
  readonly turned: boolean;
  /** Of the weight as it is read. */
  readonly type: DataType;
  readonly inputs: number;
  readonly outputs: number;
}

const operators = new Set(['MatMul', 'Gemm', 'FusedMatMul']);
const floats = new Set<DataType>([DataType.float, DataType.float16, DataType.bfloat16, DataType.double]);

/** A product as a plain one, or why it is none, as a clause. */
export function plainProduct(
  flow: Flow,
  { node, side, axis, weights: [weight = ''] }: LinearProduct,
): PlainProduct | { readonly why: string } {
  if (/NBits|Bnb4|Integer|QLinear|QGemm|DynamicQuantize|QMoE|QAttention/.test(node.op) || isRounded(flow, weight))
    return { why: `its weight is quantised (${operatorName(node)})` };
  if (side === undefined) return { why: `the operator ${operatorName(node)} has several products inside` };
  if (!operators.has(node.op)) return { why: `it is a ${operatorName(node)}` };
  const isPlain =
    side === 'right' &&
    axis === -1 &&
    intAttribute(node, 'transA', 0) === 0 &&
    intAttribute(node, 'transBatchB', 0) === 0 &&
    floatAttribute(node, 'alpha', 1) === 1;
  const dims = matrixOf(flow, weight);
  const [first, second] = dims ?? [];
  const stored = storedType(flow, weight);
  if (!isPlain || dims?.length !== 2 || first === undefined || second === undefined || stored === undefined)
    return { why: 'it is no product of rows with one matrix as it is stored' };
  const turned = intAttribute(node, 'transB', 0) !== 0;
  const [inputs, outputs] = turned ? [second, first] : [first, second];
  return { node, weight, turned, type: stored, inputs, outputs };
}

const keeping = new Set(['Cast', 'Identity', 'Transpose']);

/** The type of a weight as it is read; undefined where it is not one that is stored, turned and cast perhaps. */
function storedType(flow: Flow, weight: string): DataType | undefined {
  const tensor = flow.model.graph.initializers.get(weight);
  if (tensor) return floats.has(tensor.type) ? tensor.type : undefined;
  const node = flow.producer(weight);
  if (!node || !keeping.has(node.op)) return undefined;
  const before = storedType(flow, node.inputs[0] ?? '');
  return before !== undefined && node.op === 'Cast' ? intAttribute(node, 'to', before) : before;
}

/** Made of integers. */
function isRounded(flow: Flow, weight: string): boolean {
  for (let value = weight, node = flow.producer(value); node; node = flow.producer(value)) {
    if (node.op === 'DequantizeLinear') return true;
    value = node.inputs[0] ?? '';
  }
  return false;
}
