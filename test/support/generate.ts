/** What is said while a text is written, with every optional part there. */
import type { EventOf } from '../../src/engine/contract/protocol.js';
import type { HiddenStatistics } from '../../src/statistics/statistics.js';

const sinks = [{ token: 0, heads: 1, alpha: Float32Array.of(0.5) }];

export const generateExamples = (state: HiddenStatistics): readonly EventOf<'generate'>[] => [
  {
    type: 'begun',
    name: 'm',
    bos: true,
    prompt: {
      tokens: [{ id: 1, text: 'a', start: 0, end: 1, special: false }],
      total: 2,
      window: { start: 1, end: 2 },
    },
    states: [state],
    alike: [Float32Array.of(1)],
    heads: 2,
    sinks,
  },
  {
    type: 'written',
    id: 2,
    text: 'b',
    added: 'b',
    surprisal: 0.5,
    entropy: 1.5,
    alternatives: [{ id: 2, text: 'b', probability: 0.6 }],
    top: [[{ value: -7.5, token: 1, dim: 2 }]],
    alike: Float32Array.of(0.5),
    sinks,
  },
];

/** A rule by which no token is a sink. */
export const noSinks = { epsilon: 1, minQueries: 1, minShare: 1 };
