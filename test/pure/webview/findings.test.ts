/** What views show as long as nothing is selected, and what a webview remembers of itself. */
import { describe, expect, it } from 'vitest';
import { emptyAnalysis } from '../../../src/analysis/analysis.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import { findingsOf, kindsOf, shownLayer, shownToken } from '../../../webview/findings.js';
import { readIntent } from '../../../webview/intent.js';
import { ratioAt } from '../../../webview/numbers.js';
import { describeToken, surpriseLines, tokenFacts } from '../../../webview/token.js';
import { hidden, layers, pattern, run } from '../analysis/example.js';

const of = (analysis = run(layers, [pattern([[0, 4, 0.9]]), pattern([])])) => ({
  analysis,
  findings: findingsOf(analysis, { ...defaultThresholds, minQueries: 1 }),
});

it('says how surprising a token is, and what had been expected', () => {
  const top = [
    { id: 1, text: ' sea', probability: 0.5 },
    { id: 2, text: '', probability: 0.25 },
    { id: 3, text: 'a', probability: 0.125 },
    { id: 4, text: 'b', probability: 0.0625 },
  ];
  expect(surpriseLines(Math.LN2, { type: 'predictions', token: 3, top })).toEqual([
    'surprisal 0.693 nats (p = 50 %)',
    'expected: ·sea 50 %, ⟨2⟩ 25 %, a 12.5 %',
  ]);
  expect(surpriseLines(2, undefined)).toHaveLength(1);
  expect(surpriseLines(Number.NaN, undefined)).toEqual([]);
});

describe('findings of a run', () => {
  it('have a label for every token, and the greatest ratio of every layer', () => {
    const { findings } = of();
    expect(findings.labels.slice(0, 4)).toEqual(['⟨bos⟩', 'S', 'ummer', '·is']);
    expect([findings.tokens, findings.layers]).toEqual([12, 2]);
    expect(findings.ratios).toEqual([150, 2084.4, 1050]);
  });

  it('are none before the first event, and have no ratio where no entry is finite', () => {
    const { findings } = of(emptyAnalysis);
    expect(findings).toMatchObject({ labels: [], tokens: 0, layers: 0, ratios: [], massive: [] });
    expect(of(run([hidden(Number.NaN)])).findings.ratios).toEqual([Number.NaN]);
  });

  it('know a token by its stronger kind', () => {
    const { findings } = of(run([hidden(1, [150, 5, 2], [130, 0, 1], [2000, 0, 3])]));
    expect(kindsOf(findings)).toEqual(
      new Map([
        [0, 'massive'],
        [5, 'large'],
      ]),
    );
  });
});

describe('what is shown', () => {
  it('is what is selected', () => {
    const { analysis, findings } = of();
    expect(shownLayer(analysis, findings, { layer: 2 })).toBe(2);
    expect(shownToken(findings, { token: 7 })).toBe(7);
  });

  it('is where the strongest activation stands out, and the strongest sink, as long as nothing is', () => {
    const { analysis, findings } = of();
    expect(shownLayer(analysis, findings, {})).toBe(1);
    expect(shownToken(findings, {})).toBe(4);
  });

  it('is the last layer and the first token where nothing stands out', () => {
    const { analysis, findings } = of(run([hidden(1, [2, 0, 0]), hidden(1, [2, 0, 0])]));
    expect(shownLayer(analysis, findings, {})).toBe(1);
    expect(shownToken(findings, {})).toBe(0);
  });

  it('is what there is, where more is selected than has come', () => {
    const { analysis, findings } = of(run(layers.slice(0, 2)));
    expect(shownLayer(analysis, findings, { layer: 9 })).toBe(1);
    expect(shownToken(findings, { token: 99 })).toBe(11);
    expect(shownLayer(emptyAnalysis, of(emptyAnalysis).findings, { layer: 3 })).toBe(0);
    expect(shownToken(of(emptyAnalysis).findings, { token: 3 })).toBe(0);
  });
});

describe('what is said of a token', () => {
  const { analysis, findings } = of();

  it('is its name, its place, and what it is in any layer', () => {
    expect(tokenFacts(findings, 0, 'massive')).toBe('⟨bos⟩, token 0, massive');
    expect(tokenFacts(findings, 4, undefined)).toBe('·warm, token 4, sink in 1 of 4 heads');
  });

  it('are its numbers at the layer that is shown', () => {
    const scene = { analysis, findings, selection: { layer: 2 } };
    expect(describeToken(scene, 0)).toEqual([
      '⟨bos⟩ · token 0 · id 0',
      'layer 2: 0.5 × the median in dimension 0',
      'massive: dimension 3, +2,084, layers 1 to 2',
      'large: dimension 1, −309, layers 1 to 2',
    ]);
    expect(describeToken(scene, 4)?.at(-1)).toBe('sink in 1 of 4 heads, most in layer 1, head 0');
  });

  it('is nothing before a layer has come', () => {
    expect(describeToken({ analysis: emptyAnalysis, findings: of(emptyAnalysis).findings, selection: {} }, 0)).toBe(
      undefined,
    );
  });
});

it('a ratio is none where there is no layer, or no such token', () => {
  const statistics = hidden(2);
  expect(ratioAt(statistics, 3)).toBe(0.5);
  expect([ratioAt(undefined, 3), ratioAt(statistics, 12)]).toEqual([Number.NaN, Number.NaN]);
});

describe('what was open', () => {
  const kept = { version: 1, scroll: 120, tables: ['layer-profile'], page: 'experiments', seen: 3 };

  it('is opened again', () => {
    expect(readIntent(kept, undefined)).toEqual(kept);
    expect(readIntent({ version: 1, scroll: 0, tables: [] }, undefined).page).toBe('analysis');
  });

  it.each([undefined, null, 'text', { ...kept, version: 2 }, { ...kept, tables: 'all' }, { ...kept, page: 'none' }])(
    'is forgotten where it was kept otherwise: %j',
    (other) => {
      expect(readIntent(other, 'experiments')).toEqual({ version: 1, scroll: 0, tables: [], page: 'experiments' });
      expect(readIntent(other, 'nowhere').page).toBe('analysis');
    },
  );
});
