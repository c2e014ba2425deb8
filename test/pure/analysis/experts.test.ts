import { describe, expect, it } from 'vitest';
import { expertsOf, loadOf, massiveByExpert } from '../../../src/analysis/experts.js';
import { toJson } from '../../../src/analysis/result.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import type { RoutingStatistics } from '../../../src/statistics/statistics.js';
import { layers, run } from './example.js';

/** 12 tokens, of which the first goes to experts 3 and 1, all others to 0 and 2. */
const routing: RoutingStatistics = {
  tokens: 12,
  experts: 4,
  chosen: 2,
  indices: Int32Array.from({ length: 24 }, (_, place) => (place < 2 ? [3, 1] : [0, 2])[place % 2] ?? 0),
  weights: Float32Array.from({ length: 24 }, (_, place) => (place % 2 === 0 ? 0.75 : 0.25)),
  multiplies: 'outputs',
  scores: undefined,
  largest: undefined,
  made: [{ token: 0, dim: 3, made: Float32Array.of(-2, 1000) }],
};
const finished = { type: 'finished', seconds: 1, firstLayerSeconds: 1 } as const;
const analysis = run(layers, [], [{ type: 'routing', layer: 1, found: routing }, finished]);

describe('experts of a run', () => {
  it('are those that a token was sent to, with their weights', () => {
    expect(expertsOf(analysis, 0, 1)).toEqual([
      { expert: 3, weight: 0.75 },
      { expert: 1, weight: 0.25 },
    ]);
    expect(expertsOf(analysis, 0, 2)).toBeUndefined();
  });

  it('have the share of tokens that were sent to them as load', () => {
    expect([...loadOf(routing)].map((share) => Number(share.toFixed(6)))).toEqual([
      0.916667, 0.083333, 0.916667, 0.083333,
    ]);
  });

  it('are held against the massive activations that arise in their block', () => {
    expect(massiveByExpert(analysis, defaultThresholds, 1)).toEqual([
      { expert: 1, tokens: [0], made: 1000 },
      { expert: 3, tokens: [0], made: -2 },
    ]);
    expect(massiveByExpert(analysis, defaultThresholds, 2)).toEqual([]);
  });

  it('stand in the JSON, null where a block has none', () => {
    const json = toJson(analysis, defaultThresholds);
    expect(json.routing).toMatchObject([{ experts: 4, chosen: 2, scores: null, largest: null }, null]);
    expect(json.routing[0]).toMatchObject({
      massive: [
        { expert: 1, tokens: [0], made: 1000 },
        { expert: 3, tokens: [0], made: -2 },
      ],
    });
    expect(json.massive_activations[0]?.experts).toEqual([
      { expert: 3, weight: 0.75, made: -2 },
      { expert: 1, weight: 0.25, made: 1000 },
    ]);
  });

  it('are said not to be known where the tensors do not tell', () => {
    const unknown = run(layers, [], [{ type: 'routing', layer: 2, found: { why: 'no' } }, finished]);
    expect(toJson(unknown, defaultThresholds).routing).toEqual([null, { why: 'no' }]);
    expect(expertsOf(unknown, 0, 2)).toBeUndefined();
  });
});
