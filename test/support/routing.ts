/** What a run says of a block's experts, with every optional part there. */
import type { RoutingStatistics } from '../../src/statistics/statistics.js';

export const routingExample: RoutingStatistics = {
  tokens: 2,
  experts: 3,
  chosen: 1,
  indices: Int32Array.of(2, 0),
  weights: Float32Array.of(0.5, 0.25),
  multiplies: 'outputs',
  scores: { kind: 'softmax', values: Float32Array.of(0.25, 0.25, 0.5, 0.5, 0.25, 0.25) },
  largest: Float32Array.of(7, 8),
  made: [{ token: 1, dim: 3, made: Float32Array.of(-9) }],
};
