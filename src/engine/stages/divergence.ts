/**
 * How far distributions of the next token lie from those of a reference, in ONNX Runtime and in double precision: the
 * divergences of good files are as small as single precision's rounding.
 */
import { encodeModel } from '../../onnx/encode.js';
import { type Attribute, DataType, type Graph, type Node, type Tensor } from '../../onnx/model.js';
import { filled, floats, type Value } from '../tensors/value.js';
import { createSession, type Session } from './session.js';

/** By row, beside a reference. */
export interface RowDivergences {
  /** KL(reference ‖ other) in nats. */
  readonly kld: Float64Array;
  /** Whether both have the same most likely token. */
  readonly same: readonly boolean[];
  /** Probability of the row's own token in the reference, and in the other. */
  readonly probability: { readonly reference: Float64Array; readonly other: Float64Array };
}

export interface DivergenceSession {
  /**
   * Rows of a reference, to hold others against.
   *
   * @param logits [ids.length, vocabulary]
   * @param ids the token that follows each row
   */
  against(logits: Float32Array, ids: readonly number[]): Promise<(other: Float32Array) => Promise<RowDivergences>>;
  release(): Promise<void>;
}

/** Copies of the logits alive at once, in units of their own single precision: doubles of both, and of what is summed. */
export const divergenceCopies = 12;

/** @param threads 0: as ONNX Runtime chooses */
export async function createDivergenceSession(threads: number): Promise<DivergenceSession> {
  const options = { prepack: true, threads };
  const logarithms = await createSession(encodeModel({ ...base, graph: logarithmsGraph }, ''), '', options);
  const divergence = await createSession(encodeModel({ ...base, graph: divergenceGraph }, ''), '', options);
  return {
    async against(logits, ids) {
      const rows = ids.length;
      const dims = [rows, logits.length / rows];
      const chosen: Value = { type: DataType.int64, dims: [rows, 1], data: BigInt64Array.from(ids, BigInt) };
      const matrix = (data: Float32Array): Value => ({ type: DataType.float, dims, data });
      const before = await run(logarithms, { logits: matrix(logits), ids: chosen });
      return async (other) => {
        const after = await run(divergence, {
          reference: before.get('logarithms'),
          logits: matrix(other),
          ids: chosen,
        });
        const tops = [before, after].map((found) => [...floats(found.get('top'))]);
        return {
          // Rounding may leave a little less than the nothing that it cannot be below.
          kld: doubles(after.get('kld')).map((value) => Math.max(0, value)),
          same: ids.map((_, row) => tops[0]?.[row] === tops[1]?.[row]),
          probability: {
            reference: doubles(before.get('chosen')).map(Math.exp),
            other: doubles(after.get('chosen')).map(Math.exp),
          },
        };
      };
    },
    async release() {
      await logarithms.release();
      await divergence.release();
    },
  };
}

/** What a session gives, all of which is there. */
async function run(session: Session, feeds: Readonly<Record<string, Value>>) {
  const results = await session.run(new Map(Object.entries(feeds)));
  return {
    get(name: string): Value {
      const value = results.get(name);
      if (!value) throw new Error(`${name} is not there`);
      return value;
    },
  };
}

const doubles = ({ data }: Value) => Float64Array.from(data, Number);

const base = { irVersion: 8, opsets: new Map([['', 12]]) };

const node = (
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Record<string, Attribute> = {},
): Node => ({
  name: output,
  op,
  domain: '',
  inputs,
  outputs: [output],
  attributes: new Map(Object.entries(attributes)),
});

const int = (value: number): Attribute => ({ kind: 'int', value: BigInt(value) });
const axis = { axis: int(1) };
const matrix = (name: string, type: DataType) => ({ name, type, shape: [null, null] });

/** Logarithms of all probabilities, that of the chosen token, and the most likely one. */
const logarithms: readonly Node[] = [
  node('Cast', ['logits'], 'doubles', { to: int(DataType.double) }),
  node('LogSoftmax', ['doubles'], 'logarithms', axis),
  node('GatherElements', ['logarithms', 'ids'], 'chosen', axis),
  node('ArgMax', ['logits'], 'top', { ...axis, keepdims: int(0) }),
];

const logarithmsGraph: Graph = {
  name: 'logarithms',
  nodes: logarithms,
  inputs: [matrix('logits', DataType.float), matrix('ids', DataType.int64)],
  outputs: [
    matrix('logarithms', DataType.double),
    matrix('chosen', DataType.double),
    { name: 'top', type: DataType.int64, shape: [null] },
  ],
  initializers: new Map(),
  valueInfo: new Map(),
};

const zero: Tensor = {
  name: 'zero',
  type: DataType.double,
  dims: [],
  data: new Uint8Array(filled(DataType.double, [], () => 0).data.buffer),
};

const divergenceGraph: Graph = {
  ...logarithmsGraph,
  name: 'divergence',
  nodes: [
    ...logarithms,
    node('Exp', ['reference'], 'probabilities'),
    node('Sub', ['reference', 'logarithms'], 'differences'),
    node('Mul', ['probabilities', 'differences'], 'weighed'),
    // What is masked in both has −∞ − (−∞).
    node('Equal', ['probabilities', 'zero'], 'impossible'),
    node('Where', ['impossible', 'zero', 'weighed'], 'terms'),
    node('ReduceSum', ['terms'], 'kld', { axes: { kind: 'ints', value: [1n] }, keepdims: int(0) }),
  ],
  inputs: [matrix('reference', DataType.double), ...logarithmsGraph.inputs],
  outputs: [
    { name: 'kld', type: DataType.double, shape: [null] },
    ...logarithmsGraph.outputs.filter(({ name }) => name !== 'logarithms'),
  ],
  initializers: new Map([['zero', zero]]),
};
