/** Attention over keys that are given, in ONNX Runtime. */
import { Builder } from '../../anatomy/operators/builder.js';
import { encodeModel } from '../../onnx/encode.js';
import { DataType, type Graph, type ValueInfo } from '../../onnx/model.js';
import { floats, type Value } from '../tensors/value.js';
import { createSession, type Session } from './session.js';

/** Keys that queries attend to: [groups, keys, headDim] each. */
interface Queried {
  /** Queries of each group of heads that share keys, as the first keys see them: [groups, queries, headDim], scaled. */
  readonly early: Float32Array;
  /** The same as the others see them. */
  readonly late: Float32Array;
  readonly earlyKeys: Float32Array;
  readonly lateKeys: Float32Array;
  /** Added to the scores, [groups or 1, queries, keys]; −∞ where a key is not seen. */
  readonly bias: Float32Array;
  readonly groups: number;
  readonly queries: number;
  readonly headDim: number;
}

/** The same with what is weighed. */
export interface Attended extends Queried {
  /** [groups, keys, valueDim] */
  readonly values: Float32Array;
  readonly valueDim: number;
}

/** The same with what is asked about. */
export interface AskedMass extends Queried {
  /** 1 for keys that are asked about and 0 for others, [queries, keys]. */
  readonly about: Float32Array;
}

export interface AttentionSession {
  /** softmax(q Kᵀ + bias) V, [groups, queries, valueDim]. */
  weigh(attended: Attended): Promise<Float32Array>;
  /** The mass of softmax(q Kᵀ + bias) on keys that are asked about, [groups, queries]. */
  mass(asked: AskedMass): Promise<Float32Array>;
  release(): Promise<void>;
}

/** @param threads 0: as ONNX Runtime chooses */
export async function createAttentionSession(threads: number): Promise<AttentionSession> {
  const made = new Map<string, Promise<Session>>();
  const run = async (what: keyof typeof graphs, queried: Queried, keys: number, more: readonly [string, Value]) => {
    const { early, late, earlyKeys, lateKeys, bias, groups, queries, headDim } = queried;
    const session = made.get(what) ?? createSession(graphs[what], '', { prepack: true, threads });
    made.set(what, session);
    const results = await (await session).run(
      new Map([
        ['early', tensor(early, queries, headDim)],
        ['late', tensor(late, queries, headDim)],
        ['earlyKeys', { ...tensor(earlyKeys, 1, 1), dims: [groups, earlyKeys.length / (groups * headDim), headDim] }],
        ['lateKeys', { ...tensor(lateKeys, 1, 1), dims: [groups, lateKeys.length / (groups * headDim), headDim] }],
        ['bias', tensor(bias, queries, keys)],
        more,
      ]),
    );
    const value = results.get(result);
    if (!value) throw new Error(`${what} is not there`);
    return floats(value);
  };
  return {
    weigh: (attended) => {
      const { values, groups, valueDim } = attended;
      const keys = values.length / (groups * valueDim);
      return run('weighed', attended, keys, ['values', tensor(values, keys, valueDim)]);
    },
    mass: (asked) => {
      const { about, queries } = asked;
      return run('mass', asked, about.length / queries, ['about', tensor(about, queries, about.length / queries)]);
    },
    release: async () => {
      for (const session of made.values()) await (await session).release();
    },
  };
}

/** [data.length / (rows · dims), rows, dims] */
const tensor = (data: Float32Array, rows: number, dims: number): Value => ({
  type: DataType.float,
  dims: [data.length / (rows * dims), rows, dims],
  data,
});

const result = 'result';
const graphs = {
  weighed: graphOf('values', (build, pattern) => build.node('MatMul', [pattern, 'values'])),
  mass: graphOf('about', (build, pattern) =>
    build.node('ReduceSum', [build.node('Mul', [pattern, 'about']), build.ints([2])], { keepdims: 0 }),
  ),
};

/** A model of the softmax, and of what is made of it and one more input. */
function graphOf(more: string, make: (build: Builder, pattern: string) => string): Uint8Array {
  const build = new Builder('attention');
  const scores = (queries: string, keys: string) => build.node('MatMul', [queries, build.transpose(keys, [0, 2, 1])]);
  const all = build.node('Concat', [scores('early', 'earlyKeys'), scores('late', 'lateKeys')], { axis: 2 });
  const made = make(build, build.node('Softmax', [build.node('Add', [all, 'bias'])], { axis: 2 }));
  const info = (name: string, rank: number): ValueInfo => ({
    name,
    type: DataType.float,
    shape: new Array<null>(rank).fill(null),
  });
  const graph: Graph = {
    name: 'attention',
    nodes: build.nodes.map((node) => (node.outputs[0] === made ? { ...node, outputs: [result] } : node)),
    inputs: ['early', 'late', 'earlyKeys', 'lateKeys', 'bias', more].map((name) => info(name, 3)),
    outputs: [info(result, more === 'values' ? 3 : 2)],
    initializers: new Map(),
    valueInfo: new Map(),
  };
  return encodeModel({ irVersion: 8, opsets: new Map([['', 13]]), graph }, '');
}
