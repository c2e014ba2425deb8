import { describe, expect, it } from 'vitest';
import { sameTokens } from '../../../src/analysis/alignment.js';
import type { Analysis } from '../../../src/analysis/analysis.js';
import { alphaChange, difference, type RunDifference } from '../../../src/analysis/difference.js';
import { presentMoved } from '../../../src/analysis/moved.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import type { RunEvent } from '../../../src/engine/contract/events.js';
import { hidden, layers, pattern, run } from './example.js';

const sink = [pattern([[0, 0, 0.9]]), pattern([[1, 0, 0.8]])];
const before = run(layers, sink);

function compared(after: Analysis, earlier = before): RunDifference {
  return difference(earlier, after, defaultThresholds);
}
const said = (after: Analysis, earlier = before) => presentMoved(earlier, after, defaultThresholds).sentence;

function predicting(top: readonly (readonly [id: number, probability: number])[]): Analysis {
  const event: RunEvent = {
    type: 'predictions',
    token: 11,
    top: top.map(([id, probability]) => ({ id, text: `word${id}`, probability })),
  };
  return run(layers, sink, [event, { type: 'finished', seconds: 1, firstLayerSeconds: 1 }]);
}

describe('difference', () => {
  it('finds nothing between a run and itself, and says so', () => {
    const { massive, sinks, layers: found } = compared(run(layers, sink));
    expect([massive.came, massive.went, sinks.came, sinks.went]).toEqual([[], [], [], []]);
    expect(found.map((one) => [one.tokens, one.dims, alphaChange(one)])).toEqual([
      [0, 0, undefined],
      [0, 0, 0],
      [0, 0, 0],
    ]);
    const { sentence, parts } = presentMoved(before, run(layers, sink), defaultThresholds);
    expect(sentence).toMatch(/^Nothing moved/);
    expect(parts).toEqual([]);
  });

  it('tells which massive activations and sinks came and went', () => {
    const plain = [hidden(0.01, [0.4, 5, 2]), hidden(1, [41, 5, 2]), hidden(2, [90, 5, 2])];
    const after = run(plain, [pattern([[0, 2, 0.9]]), pattern([])]);
    const { massive, sinks, largest } = compared(after);
    expect(massive.went.map(({ token, dim }) => [token, dim])).toEqual([[0, 3]]);
    expect(massive.came).toEqual([]);
    expect(sinks.went.map(({ token, heads }) => [token, heads])).toEqual([[0, 2]]);
    expect(sinks.came.map(({ token }) => token)).toEqual([2]);
    expect(largest.before).toMatchObject({ layer: 1, token: 0, dim: 3, ratio: 2084.4 });
    expect(largest.after).toMatchObject({ layer: 2, token: 5, dim: 2, ratio: 45 });
    expect(said(after)).toMatch(
      /^1 massive activation went: dim 3 on ⟨bos⟩, \+2,084 = 2,084 × the median at layer 1\. 1 sink came: “ummer” \(token 2\) in 1 head\. 1 sink went: ⟨bos⟩ in 2 heads\. Largest ratio 2,084 × → 45 × the median, now dim 2 on “.” \(token 5\) at layer 2\./,
    );
    expect(said(before, after)).toMatch(/^1 massive activation came: dim 3 on ⟨bos⟩/);
  });

  it('measures each layer by its tokens and dims, and names those that moved most', () => {
    const [first, second, third] = layers;
    if (!first || !second || !third) throw new Error('three layers');
    // 12 norms of 2, one of which becomes 5: 3 ÷ √48. Of 4 dims of 1, two double: √2 ÷ 2.
    const moved = {
      ...second,
      tokenNorm: second.tokenNorm.map((norm, i) => (i === 7 ? 5 : norm)),
      dimMax: second.dimMax.map((one, i) => (i < 2 ? 2 : one)),
    };
    const after = run([first, moved, third], [pattern([[0, 0, 0.9]]), pattern([[1, 0, 0.7]])]);
    const found = compared(after).layers;
    expect(found[1]?.tokens).toBeCloseTo(3 / Math.sqrt(48), 6);
    expect(found[1]?.dims).toBeCloseTo(Math.SQRT1_2, 6);
    expect(found[2]?.heads?.map(({ change, token }) => [Math.round(change * 1e6) / 1e6, token])).toEqual([
      [0, undefined],
      [-0.1, 0],
    ]);
    expect(said(after)).toBe(
      'No massive activation and no sink came or went. Sizes moved in 1 of 3 layers, the first is 1; most in 1 (70.7 %).',
    );
    const { parts } = presentMoved(before, after, defaultThresholds);
    expect(parts.map(({ kind, heading }) => `${kind}: ${heading}`)).toEqual([
      'heatmap: Residual stream: what moved, layer × token',
      'heatmap: Attention: what moved, layer × head',
      'table: What moved, by layer',
    ]);
    const table = parts[2];
    expect(table?.kind === 'table' && table.rows.map(([layer]) => layer)).toEqual(['embed', '1', '2']);
  });

  it('tells how far next-token predictions are apart, at least', () => {
    const old = predicting([
      [1, 0.5],
      [2, 0.25],
    ]);
    const now = predicting([
      [2, 0.5],
      [3, 0.3],
    ]);
    // Known of both: token 2, and all others. Ranks that hold: the true divergence can only be more.
    const least = 0.25 * Math.log(0.25 / 0.5) + 0.75 * Math.log(0.75 / 0.5);
    expect(compared(now, old).next?.kld).toBeCloseTo(least, 12);
    expect(said(now, old)).toContain(
      'The most likely next token was “word1” (50 %) and is “word2” (50 %); KL divergence at least 0.131 nats.',
    );
    expect(said(old, old)).toMatch(/^Nothing moved/);
    expect(compared(now).next).toBeUndefined();
  });

  it('sees a head that was trained again, where the layers are as they were', () => {
    const giving = (labels: readonly string[], values: readonly number[]): Analysis => {
      const top = labels.map((label, i) => ({ index: i, label, value: values[i] ?? 0, probability: undefined }));
      const rows = [{ token: undefined, norm: Math.hypot(...values), top: top.toSorted((a, b) => b.value - a.value) }];
      const event: RunEvent = {
        type: 'outputs',
        outputs: [{ name: 'logits', shape: [1, 2], kind: 'classes', how: 'by its name', rows }],
      };
      return run(layers, sink, [event, { type: 'finished', seconds: 1, firstLayerSeconds: 1 }]);
    };
    const old = giving(['good', 'bad'], [4, 3]);
    expect(said(giving(['good', 'bad'], [4, 3]), old)).toMatch(/^Nothing moved/);
    expect(said(giving(['good', 'bad'], [3, 4]), old)).toContain(
      'The output logits moved by 20 %: first comes bad now, before it was good. No layer’s sizes moved.',
    );
  });

  it('says that numbers became NaN', () => {
    const [first, second] = layers;
    if (!first || !second) throw new Error('two layers');
    const lost = { ...hidden(Number.NaN), tokenNorm: new Float32Array(12).fill(Number.NaN), nonFinite: 48 };
    expect(said(run([first, second, lost], sink))).toMatch(
      /Entries that are NaN or infinite at layer 2: 48, before 0\..*most in 2 \(no numbers\)\.$/,
    );
  });

  /** `before` with other tokens, each at the place of one of its own. */
  function retold(texts: readonly string[], from: Analysis = before): Analysis {
    if (!from.tokens) throw new Error('tokens');
    const [prefix] = from.tokens.tokens;
    const tokens = texts.map((text, i) =>
      text === 'bos' && prefix
        ? { ...prefix, id: 7, text: '[CLS]' }
        : { id: 50 + i, text, start: i, end: i + 1, special: false },
    );
    return { ...from, tokens: { ...from.tokens, tokens } };
  }

  it('finds the tokens that two texts have in common, with and without a prefix, and around edits', () => {
    const words = before.tokens?.tokens.slice(1).map(({ text }) => text) ?? [];
    // By hand: without the prefix each token comes one earlier.
    expect(sameTokens(before, retold(words))).toEqual(words.map((_, i) => [i + 1, i]));
    // “ummer” becomes two tokens, and “ cold” is taken out; prefixes are the same under any name.
    const edited = ['bos', 'S', 'pr', 'ing', ...words.slice(2, 8), ...words.slice(9)];
    expect(sameTokens(before, retold(edited))).toEqual([
      [0, 0],
      [1, 1],
      ...[3, 4, 5, 6, 7, 8].map((i) => [i, i + 1]),
      [10, 10],
      [11, 11],
    ]);
    expect(sameTokens(before, retold(['q', 'r']))).toEqual([]);
  });

  it('compares a prompt with another on what both have, and says what that is', () => {
    const words = before.tokens?.tokens.slice(1).map(({ text }) => text) ?? [];
    const shift = (state: (typeof layers)[number]) => ({
      ...state,
      top: state.top.filter(({ token }) => token > 0).map((one) => ({ ...one, token: one.token - 1 })),
      tokens: 11,
      tokenNorm: state.tokenNorm.slice(1),
      tokenMax: state.tokenMax.slice(1).map((max, i) => (i === 3 ? 4 * max : max)),
      tokenMaxDim: state.tokenMaxDim.slice(1),
      // As of a token that only the one text has.
      dimMax: state.dimMax.map((max) => 2 * max),
    });
    const without = retold(words, run(layers.map(shift), [pattern([])]));
    const { settings, warnings, sentence, parts } = presentMoved(before, without, defaultThresholds);
    expect(settings.at(-1)).toEqual({ name: 'tokens in both texts:', value: '11 of 12 before and 11 now' });
    expect(warnings).toEqual([expect.stringMatching(/^α is a mean/)]);
    expect(sentence).toMatch(/^1 massive activation went: dim 3 on ⟨bos⟩.*1 sink went: ⟨bos⟩ in 2 heads\./);
    expect(sentence).toMatch(/ Norms of the tokens in both texts moved in no layer\.$/);
    const [heatmap] = parts;
    if (heatmap?.kind !== 'heatmap') throw new Error('a heatmap');
    expect(heatmap.columns.labels.slice(0, 4)).toEqual(['S', 'ummer', '·is', '·warm']);
    // Four times as large is two doublings; all else is as it was.
    expect(heatmap.values.slice(0, 5)).toEqual([0, 0, 0, 2, 0]);
  });

  it('says of no sink that it came or went where a run is too short for sinks, or has no patterns', () => {
    const short: RunEvent = {
      type: 'tokens',
      tokens: (before.tokens?.tokens ?? []).slice(0, 5),
      total: 4,
      window: { start: 0, end: 4 },
      source: 'text',
      tokenizer: true,
    };
    const few = { heads: 2, tokens: 5, alpha: new Float32Array(10).fill(0.05), causal: true, extra: undefined };
    const events: RunEvent[] = [{ type: 'finished', seconds: 1, firstLayerSeconds: 1 }];
    const brief = { ...run(layers, [few, few], events), tokens: short };
    for (const [earlier, after, why] of [
      [before, brief, 'the run now is too short for them (T = 5)'],
      [brief, before, 'the run before is too short for them (T = 5)'],
      [before, run(layers), 'the run now is without attention patterns'],
    ] as const) {
      const { sentence, warnings } = presentMoved(earlier, after, defaultThresholds);
      expect(sentence).not.toMatch(/sink/);
      expect(warnings).toContain(`Sinks are not compared: ${why}.`);
    }
  });

  it('compares models of other shapes by what stands out in each', () => {
    const { sentence, warnings, parts } = presentMoved(before, run(layers.slice(0, 2), sink), defaultThresholds);
    expect(warnings).toEqual([
      'The models have 2 layers of width 4 and 1 layer of width 4: nothing is compared layer by layer.',
    ]);
    expect(sentence).toBe('No massive activation and no sink came or went.');
    expect(parts.map(({ kind }) => kind)).toEqual(['lines']);
  });
});
