import { describe, expect, it } from 'vitest';
import { emptyAnalysis } from '../../../src/analysis/analysis.js';
import { toJson } from '../../../src/analysis/result.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import { at } from '../../support/lists.js';
import { hidden, layers, pattern, run } from './example.js';

/** What a reader of the text gets. */
const written = (analysis: Parameters<typeof toJson>[0]) =>
  JSON.parse(JSON.stringify(toJson(analysis, defaultThresholds))) as ReturnType<typeof toJson>;

describe('toJson', () => {
  it('holds everything that changes numbers', () => {
    const json = written(run(layers));
    expect(json.model).toMatchObject({ name: 'example', layers: 2, kv_heads: null, parallel_block: false });
    expect(json.settings).toEqual({
      bos: true,
      line_ends: null,
      chat: null,
      execution_provider: 'cpu',
      graph_optimization: 'all',
      threads: 0,
    });
    expect(json.thresholds).toEqual({
      absolute: 100,
      ratio: 1000,
      soft: 100,
      epsilon: 0.3,
      min_queries: 8,
      min_share: 0.1,
    });
    expect(json.window).toEqual({ start: 0, end: 11, total: 11 });
    expect(json.tokens[3]).toEqual({ id: 3, text: ' is', start: 6, end: 9, special: false });
  });

  it('gives each layer with typed arrays as plain ones', () => {
    const first = at(written(run(layers)).layers, 1);
    expect(first).toMatchObject({ layer: 1, median: 1, ratio: 2084.4, non_finite: 0 });
    expect(first.top[1]).toEqual({ value: -309, token: 0, dim: 1 });
    expect(first.token_norm).toEqual(Array(12).fill(2));
    expect(first.dim_max).toEqual([1, 1, 1, 1]);
  });

  it('gives massive activations and sinks', () => {
    const json = written(run(layers, [pattern([[0, 0, 0.5]], [0.5, 0.75]), pattern([])]));
    expect(json.massive_activations[0]).toMatchObject({ token: 0, dim: 3, kind: 'massive', onset: 1, last: 2 });
    expect(json.massive_activations[1]?.values).toEqual([null, -309, -310]);
    expect(json.sinks).toMatchObject({ T: 12, eps: 0.3, heads: 4, rate: 0.25, extra_rate: 0.5 });
    expect(json.sinks.tokens.map(({ token }) => token)).toEqual([null, 0]);
    expect(json.sinks.alpha[0]).toHaveLength(2);
    expect(json.sinks.alpha[0]?.[0]).toHaveLength(12);
    expect(json.sinks.alpha[0]?.[0]?.[0]).toBe(0.5);
    expect(json.sinks.extra).toEqual([{ side: 'first', columns: 1, alpha: [0.5, 0.75] }, null]);
  });

  it('has null for a block without a pattern and for numbers that are not finite', () => {
    const json = written(run([hidden(0, [5, 0, 0])], [], [{ type: 'attention', layer: 2, statistics: pattern([]) }]));
    expect(json.sinks.alpha[0]).toBeNull();
    expect(json.sinks.alpha[1]).not.toBeNull();
    expect(json.layers[0]?.ratio).toBeNull();
    expect(json.predictions).toBeNull();
  });

  it('refuses an analysis that has not begun', () => {
    expect(() => toJson(emptyAnalysis, defaultThresholds)).toThrow(RangeError);
  });
});
