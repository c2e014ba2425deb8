/** Attention over keys that are given, in ONNX Runtime. */
import { Builder } from '../../anatomy/operators/builder.js';
import { encodeModel } from '../../onnx/encode.js';
import { DataType, type Graph, type ValueInfo } from '../../onnx/model.js';
import { floats, type Value } from '../tensors/value.js';
import { createSession } from './session.js';

/** Keys and values that queries attend to: [groups, keys, dims] each. */
export interface Attended {
  /** Queries of each group of heads that share keys, as the first keys see them: [groups, queries, headDim], scaled. */
  readonly early: Float32Array;
  /** The same as the others see them. */
  readonly late: Float32Array;
  readonly earlyKeys: Float32Array;
  readonly lateKeys: Float32Array;
  readonly values: Float32Array;
  /** Added to the scores, [groups or 1, queries, keys]; −∞ where a key is not seen. */
  readonly bias: Float32Array;
  readonly groups: number;
  readonly queries: number;
  readonly headDim: number;
  readonly valueDim: number;
}

export interface AttentionSession {
  /** softmax(q Kᵀ + bias) V, [groups, queries, valueDim]. */
  weigh(attended: Attended): Promise<Float32Array>;
  release(): Promise<void>;
}

/** @param threads 0: as ONNX Runtime chooses */
export async function createAttentionSession(threads: number): Promise<AttentionSession> {
  const session = await createSession(bytes, '', { prepack: true, threads });
  return {
    weigh: async (attended) => {
      const { early, late, earlyKeys, lateKeys, values, bias, groups, queries, headDim, valueDim } = attended;
      const tensor = (data: Float32Array, rows: number, dims: number): Value => ({
        type: DataType.float,
        dims: [data.length / (rows * dims), rows, dims],
        data,
      });
      const keys = values.length / (groups * valueDim);
      const results = await session.run(
        new Map([
          ['early', tensor(early, queries, headDim)],
          ['late', tensor(late, queries, headDim)],
          ['earlyKeys', { ...tensor(earlyKeys, 1, 1), dims: [groups, earlyKeys.length / (groups * headDim), headDim] }],
          ['lateKeys', { ...tensor(lateKeys, 1, 1), dims: [groups, lateKeys.length / (groups * headDim), headDim] }],
          ['values', tensor(values, keys, valueDim)],
          ['bias', tensor(bias, queries, keys)],
        ]),
      );
      const value = results.get('weighed');
      if (!value) throw new Error('the weighed values are not there');
      return floats(value);
    },
    release: () => session.release(),
  };
}

const names = ['early', 'late', 'earlyKeys', 'lateKeys', 'values', 'bias'];
const build = new Builder('attention');
const scores = (queries: string, keys: string) => build.node('MatMul', [queries, build.transpose(keys, [0, 2, 1])]);
const all = build.node('Concat', [scores('early', 'earlyKeys'), scores('late', 'lateKeys')], { axis: 2 });
const pattern = build.node('Softmax', [build.node('Add', [all, 'bias'])], { axis: 2 });
const weighed = build.node('MatMul', [pattern, 'values']);
const threeAxes = (name: string): ValueInfo => ({ name, type: DataType.float, shape: [null, null, null] });

const graph: Graph = {
  name: 'attention',
  nodes: build.nodes.map((node) => (node.outputs[0] === weighed ? { ...node, outputs: ['weighed'] } : node)),
  inputs: names.map(threeAxes),
  outputs: [threeAxes('weighed')],
  initializers: new Map(),
  valueInfo: new Map(),
};

const bytes = encodeModel({ irVersion: 8, opsets: new Map([['', 13]]), graph }, '');
