/** A model without single scalars of its MLPs' last weights, as a rewrite of its graph: the file stays as it is. */
import { flowOf } from '../../anatomy/flow.js';
import type { LinearProduct } from '../../anatomy/linear.js';
import { weightProduct } from '../../anatomy/products.js';
import { SinkscopeError } from '../../errors.js';
import { DataType, type Graph, type Node, type Tensor } from '../../onnx/model.js';
import { Names } from '../../onnx/rename.js';
import { float32ToFloat16 } from '../../statistics/half.js';
import type { WeightScalar } from '../contract/request.js';
import type { LoadedModel } from './loaded.js';

/** The last product of the MLP of a block, where it is one product in floats with a weight on its right. */
export const lastMlpProduct = (loaded: LoadedModel, block: number): LinearProduct | undefined =>
  onlyProduct(loaded, block, 'mlp_out');

/** The product of a block that a part of it ends in, as {@link lastMlpProduct}. */
export function onlyProduct(
  { linear }: LoadedModel,
  block: number,
  part: 'attn_out' | 'mlp_out',
): LinearProduct | undefined {
  const inputs = linear().filter((input) => input.block === block && input.part === part);
  const [product, ...others] = inputs.flatMap(({ products }) => products);
  const isPlain = product?.side === 'right' && inputs[0]?.axis === -1 && !/Integer|^QGemm/.test(product.node.op);
  return isPlain && others.length === 0 ? product : undefined;
}

/**
 * The model with these scalars as 0: from what a product gives, y = x W, the part that they make is taken off, which
 * the same product makes of x with all but one column zeroed.
 *
 * @throws SinkscopeError `input` for a block whose MLP does not end in one plain product, or an index outside of it
 */
export function withoutScalars(loaded: LoadedModel, scalars: readonly WeightScalar[]): LoadedModel {
  const graph = scalars.reduce((graph, scalar) => withoutScalar(loaded, graph, scalar), loaded.model.graph);
  return { ...loaded, model: { ...loaded.model, graph } };
}

function withoutScalar(loaded: LoadedModel, graph: Graph, { block, row, column }: WeightScalar): Graph {
  const product = lastMlpProduct(loaded, block);
  const found = product && weightProduct(flowOf(loaded.model), product.node);
  const { rows, columns } = found ?? {};
  if (!product || rows === undefined || columns === undefined || column >= rows || row >= columns) {
    throw new SinkscopeError({
      code: 'input',
      file: loaded.file,
      message: `There is no scalar (${row}, ${column}) in the last weight of the MLP of block ${block}; choose another.`,
    });
  }
  const [output = ''] = product.node.outputs;
  const [read = '', weight = ''] = product.node.inputs;
  const names = new Names(graph);
  const fresh = (what: string) => names.fresh(`${output}#${what}`);
  const [whole, one, made, part] = [fresh('whole'), fresh('column'), fresh('made'), fresh('scalar')];
  const half = loaded.model.graph.initializers.get(weight)?.type === DataType.float16;
  const masks = [oneHot(fresh('input'), rows, column, half), oneHot(fresh('output'), columns, row, half)] as const;
  const plain = (op: string, inputs: readonly string[], result: string): Node => {
    return { name: '', op, domain: '', inputs, outputs: [result], attributes: new Map() };
  };
  const nodes = graph.nodes.flatMap((node) => {
    if (node.outputs[0] !== output) return [node];
    // What stands here may be the subtraction of another scalar already.
    return [
      { ...node, outputs: [whole] },
      plain('Mul', [read, masks[0].name], one),
      { ...product.node, name: '', inputs: withoutBias(product.node, one), outputs: [made] },
      plain('Mul', [made, masks[1].name], part),
      plain('Sub', [whole, part], output),
    ];
  });
  const initializers = new Map([...graph.initializers, ...masks.map((mask) => [mask.name, mask] as const)]);
  return { ...graph, nodes, initializers };
}

function withoutBias({ op, inputs }: Node, read: string): string[] {
  const [, ...others] = inputs;
  // Gemm(A, B, C) and MatMulNBits(A, B, scales, zero_points, g_idx, bias).
  const bias = op.endsWith('Gemm') ? 1 : op === 'MatMulNBits' ? 4 : undefined;
  return [read, ...others.map((input, index) => (index === bias ? '' : input))];
}

function oneHot(name: string, length: number, index: number, half: boolean): Tensor {
  const values = new Float32Array(length);
  values[index] = 1;
  const data = half ? float32ToFloat16(values) : values;
  return { name, type: half ? DataType.float16 : DataType.float, dims: [length], data: new Uint8Array(data.buffer) };
}
