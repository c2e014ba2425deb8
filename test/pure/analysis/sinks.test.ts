import { describe, expect, it } from 'vitest';
import { sinks } from '../../../src/analysis/sinks.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import { layers, pattern, run } from './example.js';

describe('sinks', () => {
  it('gives the share of heads above epsilon and the head drawn most', () => {
    const analysis = run(layers, [
      pattern([
        [0, 0, 0.4],
        [1, 0, 0.3],
      ]), // 0.3 is not above 0.3 … as the float below it
      pattern([
        [0, 0, 0.5],
        [1, 0, 0.2],
        [1, 3, 0.31],
      ]),
    ]);
    const found = sinks(analysis, { ...defaultThresholds, epsilon: 0.301 });
    expect(found).toMatchObject({ tokens: 12, epsilon: 0.301, heads: 4, rate: 0.5, extraRate: undefined });
    expect(found.sinks).toEqual([
      { token: 0, heads: 2, share: 0.5, strongest: { layer: 2, head: 0, alpha: 0.5 } },
      { token: 3, heads: 1, share: 0.25, strongest: { layer: 2, head: 1, alpha: expect.closeTo(0.31) } },
    ]);
  });

  it('marks a token only when enough queries see it', () => {
    // 12 tokens: token 4 is seen by 8 queries, token 5 by 7.
    const analysis = run(layers, [
      pattern([
        [0, 4, 0.9],
        [0, 5, 0.9],
      ]),
    ]);
    expect(sinks(analysis, defaultThresholds).sinks.map(({ token }) => token)).toEqual([4]);
  });

  it('counts every query for a pattern that is not causal', () => {
    const analysis = run(layers, [{ ...pattern([[0, 11, 0.9]]), causal: false }]);
    expect(sinks(analysis, defaultThresholds).sinks.map(({ token }) => token)).toEqual([11]);
  });

  it('marks a token only when enough heads are drawn to it', () => {
    const analysis = run(layers, [
      pattern([[0, 1, 0.9]]),
      pattern([
        [0, 2, 0.9],
        [1, 2, 0.9],
      ]),
    ]);
    const half = { ...defaultThresholds, minShare: 0.5 };
    expect(sinks(analysis, half).sinks.map(({ token }) => token)).toEqual([2]);
  });

  it('lists the extra column as a sink that is no token', () => {
    const analysis = run(layers, [pattern([[0, 0, 0.35]], [0.6, 0.1]), pattern([], [0.1, 0.4])]);
    const found = sinks(analysis, defaultThresholds);
    expect(found).toMatchObject({ rate: 0.25, extraRate: 0.5 });
    expect(found.sinks.map(({ token, heads }) => [token, heads])).toEqual([
      [undefined, 2],
      [0, 1],
    ]);
    expect(sinks(analysis, { ...defaultThresholds, minQueries: 13 })).toMatchObject({ extraRate: 0.5, sinks: [] });
    expect(found.sinks[0]?.strongest).toEqual({ layer: 1, head: 0, alpha: expect.closeTo(0.6) });
  });

  it('leaves out blocks without a pattern and has no rate without any', () => {
    const analysis = run(layers, [], [{ type: 'attention', layer: 2, statistics: pattern([[0, 0, 0.4]]) }]);
    expect(sinks(analysis, defaultThresholds)).toMatchObject({ heads: 2, rate: 0.5 });
    expect(sinks(run(layers), defaultThresholds)).toMatchObject({ heads: 0, rate: undefined, sinks: [] });
  });
});
