import { describe, expect, it } from 'vitest';
import { type Analysis, emptyAnalysis, fold } from '../../../src/analysis/analysis.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import type { Tint } from '../../../src/analysis/tint.js';
import type { RunEvent, Token } from '../../../src/engine/contract/events.js';
import { nextMark, perplexityIn, placeMarks } from '../../../src/extension/marks.js';

const token = (text: string, start: number, special = false): Token => ({
  id: 1,
  text,
  start,
  end: special ? start : start + text.length,
  special,
});

/** One layer with these largest magnitudes by token, median 1, in dimension 7. */
function analysisOf(tokens: readonly Token[], magnitudes: readonly number[], alpha?: readonly number[]): Analysis {
  const events: RunEvent[] = [
    {
      type: 'tokens',
      tokens,
      total: tokens.length,
      window: { start: 0, end: tokens.length },
      source: 'text',
      tokenizer: true,
    },
    {
      type: 'layer',
      layer: 0,
      statistics: {
        tokens: tokens.length,
        dims: 8,
        top: magnitudes.map((value, index) => ({ value, token: index, dim: 7 })).sort((a, b) => b.value - a.value),
        median: 1,
        tokenNorm: Float32Array.from(magnitudes),
        tokenMax: Float32Array.from(magnitudes),
        tokenMaxDim: new Int32Array(tokens.length).fill(7),
        dimMax: new Float32Array(8),
        nonFinite: 0,
      },
    },
  ];
  if (alpha) {
    const statistics = {
      heads: 1,
      tokens: tokens.length,
      alpha: Float32Array.from(alpha),
      causal: false,
      extra: undefined,
    };
    events.push({ type: 'attention', layer: 1, statistics });
  }
  return events.reduce(fold, emptyAnalysis);
}

const anySink = { ...defaultThresholds, minQueries: 1 };

describe('placeMarks', () => {
  it('tints what stands out alone, or all, by multiples of the median, and joins neighbours', () => {
    const tokens = ['a', 'b', 'c', 'd', 'e'].map((text, i) => token(text, i));
    const analysis = analysisOf(tokens, [2.3, 2.4, 5.6, 99, 5000]);
    const levels = (tint: Tint) =>
      placeMarks(analysis, tokens, defaultThresholds, tint, {}).tints.flatMap((ranges, index) =>
        ranges.map(({ start, end }) => [index + 1, start, end]),
      );
    expect(levels('all')).toEqual([
      [1, 1, 3],
      [5, 3, 4],
      [8, 4, 5],
    ]);
    expect(levels('large')).toEqual([[8, 4, 5]]);
    expect(levels('off')).toEqual([]);
  });

  it('marks massive, large and sink tokens, each by its threshold', () => {
    const tokens = ['a', 'b', 'c', 'd'].map((text, i) => token(text, i));
    const analysis = analysisOf(tokens, [1000, 999, 100, 99], [0.31, 0.2, 0.31, 0.29]);
    const marks = placeMarks(analysis, tokens, anySink, 'all', {});
    expect(marks.massive).toMatchObject([{ start: 0, end: 1 }]);
    expect(marks.large).toMatchObject([
      { start: 1, end: 2 },
      { start: 2, end: 3 },
    ]);
    expect(marks.sinks).toMatchObject([
      { start: 0, end: 1 },
      { start: 2, end: 3 },
    ]);
    expect(placeMarks(analysis, tokens, { ...anySink, ratio: 900 }, 'all', {}).massive).toHaveLength(2);
  });

  it('shows a prefix where the text begins, with its signs', () => {
    const tokens = [token('<s>', 0, true), token('a', 0)];
    const analysis = analysisOf(tokens, [2000, 1], [0.9, 0]);
    const at = { start: 5, end: 6 };
    expect(placeMarks(analysis, [undefined, at], anySink, 'all', { token: 0 }).prefix).toMatchObject({
      at: 5,
      label: '⟨bos⟩ ▲⚓\uFE0E',
      kind: 'massive',
      sink: true,
      selected: true,
    });
    expect(placeMarks(analysis, [undefined, undefined], anySink, 'all', {}).prefix).toBeUndefined();
  });

  it('shows of what a chat template wrote before the text only what has a sign', () => {
    const written = ['<s>', 'user', '\n'].map((text) => ({ ...token(text, 0, true), role: 'template' as const }));
    const tokens = [...written, { ...token('a', 0), role: 'user' as const }];
    const ranges = [undefined, undefined, undefined, { start: 5, end: 6 }];
    const label = (magnitudes: readonly number[]) =>
      placeMarks(analysisOf(tokens, magnitudes), ranges, anySink, 'all', {}).prefix?.label;
    expect(label([1, 2000, 1, 1])).toBe('⟨user⟩ ▲');
    expect(label([1, 1, 1, 1])).toBeUndefined();
  });

  it('gives one mark to a character that is several tokens, with all that they have', () => {
    const tokens = ['a', 'b'].map((text) => token(text, 0));
    const range = { start: 0, end: 2 };
    const marks = placeMarks(analysisOf(tokens, [5, 2000], [0.9, 0]), [range, range], anySink, 'all', {});
    expect(marks.massive).toEqual([range]);
    expect(marks.sinks).toEqual([range]);
    expect(marks.tints.flat()).toEqual([range]);
  });

  it('leaves out tokens whose text was edited', () => {
    const tokens = ['a', 'b'].map((text, i) => token(text, i));
    const marks = placeMarks(analysisOf(tokens, [2000, 2000]), [undefined, tokens[1]], defaultThresholds, 'all', {
      token: 0,
    });
    expect(marks.massive).toHaveLength(1);
    expect(marks.selected).toBeUndefined();
  });
});

describe('nextMark', () => {
  const tokens = ['a', 'b', 'c', 'd'].map((text, i) => token(text, i));
  const marks = placeMarks(analysisOf(tokens, [1, 2000, 1, 200]), tokens, defaultThresholds, 'off', {});

  it('goes through what is marked, and on from the other end', () => {
    expect([0, 1, 2, 3].map((offset) => nextMark(marks, offset, false))).toEqual([1, 3, 3, 1]);
    expect([0, 1, 2, 3].map((offset) => nextMark(marks, offset, true))).toEqual([3, 3, 1, 1]);
  });

  it('stops at the sign of the prefix, and nowhere where nothing is marked', () => {
    const prefixed = [token('<s>', 0, true), token('a', 0)];
    const first = placeMarks(analysisOf(prefixed, [2000, 1]), [undefined, { start: 5, end: 6 }], anySink, 'off', {});
    expect(nextMark(first, 9, true)).toBe(5);
    expect(first.prefix?.marked).toBe(0);
    expect(nextMark(placeMarks(analysisOf(tokens, [1, 1, 1, 1]), tokens, anySink, 'off', {}), 0, false)).toBe(
      undefined,
    );
  });
});

it('tints by surprisal where that is asked for, and not at all before it is known', () => {
  const words = ['a', 'b', 'c', 'd'].map((text, i) => token(text, 2 * i));
  const tinted = (nats?: Float32Array) =>
    placeMarks(analysisOf(words, [1, 2000, 1, 1]), words, defaultThresholds, 'surprisal', {}, nats).tints.map(
      (ranges) => ranges.length,
    );
  expect(tinted(Float32Array.of(Number.NaN, 0.1, 1.3, 12))).toEqual([1, 0, 0, 0, 0, 0, 0, 1]);
  expect(tinted()).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
});

it('perplexity is of the tokens that a selection touches, or of all', () => {
  const places = [undefined, { start: 0, end: 2 }, { start: 2, end: 5 }];
  const nats = Float32Array.of(Number.NaN, Math.log(2), Math.log(8));
  expect(perplexityIn(nats, places, { start: 3, end: 4 })).toBeCloseTo(8, 5);
  expect(perplexityIn(nats, places, { start: 1, end: 1 })).toBeCloseTo(4, 5);
  expect(perplexityIn(nats, places, { start: 5, end: 9 })).toBeUndefined();
});
