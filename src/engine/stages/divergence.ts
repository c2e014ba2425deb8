/**
 * How far distributions of the next token lie from those of a reference, in ONNX Runtime and in double precision: the
 * divergences of good files are as small as single precision's rounding.
 */
import { encodeModel } from '../../onnx/encode.js';
import { type Attribute, DataType, type Graph, type Node } from '../../onnx/model.js';
import { floats, type Value } from '../tensors/value.js';
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
   * @param logits [ids.length, vocabulary]; the array is taken over, and has probabilities afterwards
   * @param ids the token that follows each row
   */
  against(logits: Float32Array, ids: readonly number[]): Promise<(other: Float32Array) => Promise<RowDivergences>>;
  release(): Promise<void>;
}

/** Logits that are in double precision at one time: as many as a processor has near. */
const enough = 2 ** 18;

/** @param threads 0: as ONNX Runtime chooses */
export async function createDivergenceSession(threads: number): Promise<DivergenceSession> {
  const options = { prepack: true, threads };
  const made: Session[] = [];
  const sessionOf = async (graph: Graph) => {
    const session = await createSession(encodeModel({ ...base, graph }, ''), '', options);
    made.push(session);
    return session;
  };
  const [own, beside] = [await sessionOf(ownGraph), await sessionOf(besideGraph)];
  return {
    async against(logits, ids) {
      const rows = ids.length;
      const vocabulary = logits.length / rows;
      const together = Math.max(1, Math.floor(enough / vocabulary));
      const matrix = (values: Float32Array, from: number, to: number): Value => {
        const data = values.subarray(from * vocabulary, to * vocabulary);
        return { type: DataType.float, dims: [to - from, vocabulary], data };
      };
      const inParts = async (each: (from: number, to: number, chosen: Value) => Promise<void>) => {
        for (let from = 0; from < rows; from += together) {
          const to = Math.min(from + together, rows);
          const data = BigInt64Array.from(ids.slice(from, to), BigInt);
          await each(from, to, { type: DataType.int64, dims: [to - from, 1], data });
        }
      };
      const before: Row[] = [];
      await inParts(async (from, to, ids) => {
        const part = matrix(logits, from, to);
        const found = await run(own, { logits: part, ids });
        const probabilities = floats(found.get('probabilities'));
        for (const row of rowsFrom(found)) {
          const at = before.length;
          const dot = Number.isNaN(row.dot) ? dotOf(probabilities, logits, at - from, at, vocabulary) : row.dot;
          before.push({ ...row, dot });
        }
        logits.set(probabilities, from * vocabulary);
      });
      return async (other) => {
        const after: Row[] = [];
        await inParts(async (from, to, ids) => {
          const found = await run(beside, {
            probabilities: matrix(logits, from, to),
            logits: matrix(other, from, to),
            ids,
          });
          for (const row of rowsFrom(found)) {
            const at = after.length;
            after.push({ ...row, dot: Number.isNaN(row.dot) ? dotOf(logits, other, at, at, vocabulary) : row.dot });
          }
        });
        const probabilityOf = ({ chosen, sum }: Row) => Math.exp(chosen - sum);
        return {
          // Rounding may leave a little less than the nothing that it cannot be below.
          kld: Float64Array.from(before, (row, i) => Math.max(0, divergenceOf(row, after[i] ?? row))),
          same: before.map(({ top }, i) => top === after[i]?.top),
          probability: {
            reference: Float64Array.from(before, probabilityOf),
            other: Float64Array.from(after, probabilityOf),
          },
        };
      };
    },
    async release() {
      for (const session of made) await session.release();
    },
  };
}

/** Of a row of logits; in double precision. */
interface Row {
  /** Logarithm of the sum of exponentials. */
  readonly sum: number;
  /** The logits weighed with the reference's probabilities, and the sum of these, which single precision leaves near 1. */
  readonly dot: number;
  readonly mass: number;
  readonly chosen: number;
  readonly top: number;
}

/** Σ p (log p − log q), of which p is everywhere the same, so that what rounding has left of it cancels. */
const divergenceOf = (reference: Row, other: Row) =>
  (reference.dot - other.dot) / reference.mass + other.sum - reference.sum;

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

function rowsFrom(found: Awaited<ReturnType<typeof run>>): Row[] {
  const numbers = (name: string) => Float64Array.from(found.get(name).data, Number);
  const [sum, dot, mass, chosen] = [numbers('sum'), numbers('dot'), numbers('mass'), numbers('chosen')];
  return [...numbers('top')].map((top, i) => {
    const at = (values: Float64Array) => values[i] ?? Number.NaN;
    return { sum: at(sum), dot: at(dot), mass: at(mass), chosen: at(chosen), top };
  });
}

/** {@link Row.dot} where some logits are no numbers to multiply: what is masked, of a probability of 0, is −∞. */
function dotOf(probabilities: Float32Array, logits: Float32Array, row: number, other: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) {
    const p = probabilities[row * length + i] ?? 0;
    if (p !== 0) sum += p * (logits[other * length + i] ?? Number.NaN);
  }
  return sum;
}

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

/** Of rows of logits: what {@link Row} has, without the weighed sum, and exponentials of what is below the largest. */
const common: readonly Node[] = [
  node('ReduceMax', ['logits'], 'most', { axes: { kind: 'ints', value: [1n] } }),
  node('Cast', ['logits'], 'doubles', { to: int(DataType.double) }),
  node('Cast', ['most'], 'largest', { to: int(DataType.double) }),
  node('Sub', ['doubles', 'largest'], 'below'),
  node('Exp', ['below'], 'exponentials'),
  node('ReduceSum', ['exponentials'], 'total', { axes: { kind: 'ints', value: [1n] } }),
  node('Log', ['total'], 'logarithm'),
  node('Add', ['largest', 'logarithm'], 'sum'),
  node('GatherElements', ['logits', 'ids'], 'chosen', axis),
  node('ArgMax', ['logits'], 'top', { ...axis, keepdims: int(0) }),
];

/** Logits weighed with probabilities, of which the sum is taken too. */
const weighed: readonly Node[] = [
  node('Cast', ['probabilities'], 'weights', { to: int(DataType.double) }),
  node('Mul', ['weights', 'doubles'], 'products'),
  node('ReduceSum', ['products'], 'dot', { axes: { kind: 'ints', value: [1n] } }),
  node('ReduceSum', ['weights'], 'mass', { axes: { kind: 'ints', value: [1n] } }),
];

const outputs = ['sum', 'dot', 'mass'].map((name) => matrix(name, DataType.double));
const others = [matrix('chosen', DataType.float), { name: 'top', type: DataType.int64, shape: [null] }];

const besideGraph: Graph = {
  name: 'beside',
  nodes: [...common, ...weighed],
  inputs: [matrix('probabilities', DataType.float), matrix('logits', DataType.float), matrix('ids', DataType.int64)],
  outputs: [...outputs, ...others],
  initializers: new Map(),
  valueInfo: new Map(),
};

const ownGraph: Graph = {
  ...besideGraph,
  name: 'own',
  nodes: [
    ...common,
    node('Div', ['exponentials', 'total'], 'shares'),
    node('Cast', ['shares'], 'probabilities', { to: int(DataType.float) }),
    ...weighed,
  ],
  inputs: besideGraph.inputs.slice(1),
  outputs: [matrix('probabilities', DataType.float), ...besideGraph.outputs],
};
