/** What is said of a model's precision and of the largest entries in it, for `messages.ts`. */
import type { EventOf } from '../../src/engine/contract/protocol.js';

const extent = {
  ...{ block: 1, tensor: 'x', max: 70_000, token: undefined, dim: 2, median: 0.5 },
  ...{ nonFinite: 1, firstNonFinite: { token: undefined, dim: 1 } },
};

export const precisionExamples: readonly EventOf<'precision'>[] = [
  { type: 'progress', from: 0, to: 1, done: 3, of: 12 },
  {
    type: 'precision',
    block: 1,
    inputs: [
      {
        ...extent,
        part: 'attn_in',
        nodes: [{ name: '/q', op: 'MatMul' }],
        weights: ['q.weight'],
        rows: 2,
        dims: 3,
        int8: { tensor: 0.1, token: 0.01 },
        underflow: { tensor: 0.5, token: 0 },
        dispersion: 12,
        kurtosis: Number.NaN,
        outliers: Int32Array.of(0, 1, 2),
      },
    ],
    points: [{ ...extent, token: 1, point: 'input', part: 'attn_in' }],
    unmeasured: 1,
    overflowing: [{ name: '/add', op: 'Add' }],
  },
];

const spike = { value: -830, token: 0, dim: 425, median: 0.1 };

export const spikesExamples: readonly EventOf<'spikes'>[] = [
  { type: 'progress', from: 0, to: 1, done: 3, of: 12 },
  { type: 'spikes', block: 2, node: '/down', stored: 'down.weight', input: spike, output: spike, weight: -2.5 },
];
