import { describe, expect, it } from 'vitest';
import type { Analysis } from '../../../src/analysis/analysis.js';
import { emptyAnalysis } from '../../../src/analysis/analysis.js';
import { summary } from '../../../src/analysis/summary.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import { report } from '../../../src/cli/report.js';
import { hidden, layers, pattern, run } from './example.js';

const text = (analysis: Analysis) =>
  summary(analysis, defaultThresholds)
    .map((span) => span.text)
    .join('');

describe('summary', () => {
  it('names the massive dimension, the large one and the sink', () => {
    const analysis = run(layers, [
      pattern([
        [0, 0, 0.4],
        [1, 0, 0.5],
      ]),
      pattern([[0, 0, 0.4]]),
    ]);
    expect(text(analysis)).toBe(
      '1 massive dimension: 3 on ⟨bos⟩, +2,084 = 2,084 × the median, from layer 1 to 2 (large from 0 to 2). ' +
        'One large: 1 (−309, 309 ×). ' +
        'Sink: ⟨bos⟩ draws α > 0.3 in 3 of 4 heads (T = 12); no other token does in 10 % of them.',
    );
  });

  it('marks what views set off, and says where it is', () => {
    const spans = summary(run(layers, [pattern([[0, 0, 0.4]])]), defaultThresholds);
    expect(spans.filter((span) => span.mark)).toEqual([
      { text: '1 massive dimension', mark: 'massive' },
      { text: '3', mark: 'massive', at: { token: 0, dim: 3, layer: 1 } },
      { text: '1', mark: 'large', at: { token: 0, dim: 1, layer: 1 } },
      { text: 'Sink: ', mark: 'sink' },
      { text: '⟨bos⟩', mark: 'sink', at: { token: 0 } },
    ]);
  });

  it('gathers the tokens of a dimension and counts what it does not name', () => {
    const many = hidden(
      1,
      ...[9, 8, 7, 6].map((n, i): [number, number, number] => [n * 1000, 0, i]),
      [1500, 5, 0],
      [1400, 2, 0],
      [-1300, 3, 0],
    );
    expect(text(run([many]))).toBe(
      '4 massive dimensions: ' +
        '0 on ⟨bos⟩, “.” (token 5), “ummer” (token 2) and 1 more, +9,000 = 9,000 × the median, at layer 0; ' +
        '1 on ⟨bos⟩, +8,000 = 8,000 × the median, at layer 0; ' +
        '2 on ⟨bos⟩, +7,000 = 7,000 × the median, at layer 0 and 1 more. ' +
        'No attention over the tokens was computed, so nothing is said about sinks.',
    );
  });

  it('says plainly what was not found and how near it came', () => {
    const analysis = run([hidden(0.1, [0.5, 3, 1]), hidden(2, [-76.4, 5, 2])], [pattern([])]);
    expect(text(analysis)).toBe(
      'No massive activations: the largest is −76.4 = 38.2 × the median, dimension 2 on “.” (token 5) at layer 1 ' +
        '(massive is above 100 and 1,000 × the median). ' +
        'No sink: no token draws α > 0.3 in 10 % of the 2 heads (T = 12).',
    );
  });

  it('has a sentence for states of zeros, which have no ratio', () => {
    const zeros = run([hidden(0, [0, 0, 0]), hidden(0, [0, 0, 0])]);
    expect(text(zeros)).toContain('No massive activations: every finite entry is 0.');
    expect(text(zeros)).not.toContain('NaN');
    const lines = report(zeros, defaultThresholds).join('\n');
    expect(lines).toContain('0 ×');
    expect(lines).not.toContain('NaN');
  });

  it('names the extra column', () => {
    expect(text(run([hidden(1, [1, 0, 0])], [pattern([], [0.5, 0.6])]))).toContain(
      'Sink: the extra column draws α > 0.3 in 2 of 2 heads (T = 12); no token does in 10 % of them.',
    );
  });

  it('does not speak of sinks where too few queries would see them', () => {
    const strict = { ...defaultThresholds, minQueries: 13 };
    const spans = summary(run(layers, [pattern([[0, 0, 0.9]])]), strict);
    expect(spans.at(-1)?.text).toBe('Too short for sinks: T = 12, and a sink is seen by at least 13 queries.');
  });

  it('says how far an unfinished run got', () => {
    expect(text(run(layers.slice(0, 1), [], []))).toMatch(/^As far as layer 0 of 2: No massive activations/);
    expect(summary(emptyAnalysis, defaultThresholds)).toEqual([]);
  });

  it('tells of entries that are not finite', () => {
    const analysis = run([hidden(1, [1, 0, 0]), { ...hidden(Number.NaN), nonFinite: 48 }]);
    expect(text(analysis)).toContain('Layer 1 has 48 entries that are NaN or infinite');
  });
});
