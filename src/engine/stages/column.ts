/** What the last product of a part of a block makes one entry by: a column of its weight. */
import { flowOf } from '../../anatomy/flow.js';
import { matrixOf } from '../../anatomy/products.js';
import { DataType, intAttribute, type Node } from '../../onnx/model.js';
import { floats } from '../tensors/value.js';
import { constantType } from './counterparts.js';
import type { LoadedModel } from './loaded.js';
import { StageRunner } from './runner.js';
import { onlyProduct } from './scalars.js';

/** A column of x W, and what x is. */
export interface LastColumn {
  readonly tensor: string;
  /** The initializer, as the file names it. */
  readonly weight: string;
  readonly column: Float32Array;
}

const given = 'sinkscope/column';

/** @returns undefined where the part does not end in one product with a matrix of floats */
export async function lastColumn(
  loaded: LoadedModel,
  threads: number,
  block: number,
  part: 'attn_out' | 'mlp_out',
  dim: number,
): Promise<LastColumn | undefined> {
  const product = onlyProduct(loaded, block, part);
  const { node, tensor, weights: [weight = ''] = [], stored: [stored] = [] } = product ?? {};
  if (!node || tensor === undefined || node.inputs[1] !== weight) return undefined;
  const flow = flowOf(loaded.model);
  const type = constantType(flow, weight);
  if ((matrixOf(flow, weight)?.length ?? 0) !== 2 || (type !== DataType.float && type !== DataType.float16))
    return undefined;
  const runner = new StageRunner(withColumn(loaded, node, weight, dim), threads);
  const stage = { first: block, last: block, inputs: [], outputs: [given] };
  const value = (await runner.run(stage, new Map(), false)).get(given);
  return value && { tensor, weight: stored ?? weight, column: floats(value).slice() };
}

/** The model with that column as a value. */
function withColumn(loaded: LoadedModel, product: Node, weight: string, dim: number): LoadedModel {
  const { graph } = loaded.model;
  const data = new Uint8Array(BigInt64Array.of(BigInt(dim)).buffer);
  const index = { name: 'sinkscope/dim', type: DataType.int64, dims: [], data };
  const axis = intAttribute(product, 'transB', 0) !== 0 ? 0n : 1n;
  const picked: Node = {
    name: '',
    op: 'Gather',
    domain: '',
    inputs: [weight, index.name],
    outputs: [given],
    attributes: new Map([['axis', { kind: 'int', value: axis }]]),
  };
  const initializers = new Map(graph.initializers).set(index.name, index);
  return { ...loaded, model: { ...loaded.model, graph: { ...graph, nodes: [...graph.nodes, picked], initializers } } };
}
