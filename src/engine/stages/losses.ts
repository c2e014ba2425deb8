/** Losses of tokens under their logits, in ONNX Runtime: a softmax over a vocabulary takes JavaScript nine times as long. */

import { encodeModel } from '../../onnx/encode.js';
import { DataType, type Graph, type Node, type ValueInfo } from '../../onnx/model.js';
import { floats } from '../tensors/value.js';
import { createSession } from './session.js';

export interface LossSession {
  /**
   * −ln softmax(logits)[id] of each row, in single precision; NaN where logits are.
   *
   * @param logits [ids.length, vocabulary]
   */
  losses(logits: Float32Array, ids: readonly number[]): Promise<Float32Array>;
  release(): Promise<void>;
}

/** @param threads 0: as ONNX Runtime chooses */
export async function createLossSession(threads: number): Promise<LossSession> {
  const session = await createSession(bytes, '', { prepack: true, threads });
  return {
    losses: async (logits, ids) => {
      const [rows, width] = [ids.length, logits.length / ids.length];
      const results = await session.run(
        new Map([
          ['logits', { type: DataType.float, dims: [rows, width], data: logits }],
          ['ids', { type: DataType.int64, dims: [rows, 1], data: BigInt64Array.from(ids, BigInt) }],
        ]),
      );
      const value = results.get('losses');
      if (!value) throw new Error('the losses are not there');
      return floats(value);
    },
    release: () => session.release(),
  };
}

const node = (op: string, inputs: readonly string[], output: string, axis?: number): Node => ({
  name: output,
  op,
  domain: '',
  inputs,
  outputs: [output],
  attributes: axis === undefined ? new Map() : new Map([['axis', { kind: 'int', value: BigInt(axis) }]]),
});

const matrix = (name: string, type: DataType): ValueInfo => ({ name, type, shape: [null, null] });

const graph: Graph = {
  name: 'losses',
  nodes: [
    node('LogSoftmax', ['logits'], 'logarithms', 1),
    node('GatherElements', ['logarithms', 'ids'], 'chosen', 1),
    node('Neg', ['chosen'], 'losses'),
  ],
  inputs: [matrix('logits', DataType.float), matrix('ids', DataType.int64)],
  outputs: [matrix('losses', DataType.float)],
  initializers: new Map(),
  valueInfo: new Map(),
};

const bytes = encodeModel({ irVersion: 8, opsets: new Map([['', 13]]), graph }, '');
