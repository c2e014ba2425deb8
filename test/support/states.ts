/** What is said of hidden states that are reduced, for `messages.ts`. */
import type { EventOf } from '../../src/engine/contract/protocol.js';
import type { HiddenStatistics } from '../../src/statistics/statistics.js';

/** @param hidden of 2 tokens and 3 dims */
export const statesExamples = (hidden: HiddenStatistics): readonly EventOf<'states'>[] => [
  { type: 'progress', from: 0, to: 8, done: 3, of: 12 },
  {
    type: 'states',
    sequence: 0,
    states: [
      {
        ...hidden,
        point: 'mlp',
        block: 1,
        costs: {
          int8: {
            removed: 1,
            with: { tensor: 0.5, token: 0.1, channel: 0.1 },
            without: { tensor: 0.1, token: 0, channel: Number.NaN },
          },
          outliers: Int32Array.of(1, 2, 3),
        },
        difference: { all: 0.1, rest: 0.01 },
      },
    ],
  },
  {
    type: 'mean',
    point: 'resid_post',
    block: 0,
    statistics: hidden,
    middle: [{ value: 0.1, token: 1, dim: 0 }],
    rows: [Float32Array.of(1, 2, 3)],
  },
];

/** What is asked of states, beside the model and what may be held. */
export const statesAsked = {
  stream: 'text',
  sequences: [[1, 2]],
  places: [{ point: 'mlp', block: 1 }],
  costs: { removed: 100, outlier: 6 },
  mean: { rows: [0] },
  reference: '/r.onnx',
} as const;
