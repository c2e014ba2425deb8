import { describe, expect, it } from 'vitest';
import type { Analysis } from '../../../src/analysis/analysis.js';
import { difference, isUnlike, type RunDifference } from '../../../src/analysis/difference.js';
import { presentMoved } from '../../../src/analysis/moved.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import type { RunEvent } from '../../../src/engine/contract/events.js';
import { hidden, layers, pattern, run } from './example.js';

const sink = [pattern([[0, 0, 0.9]]), pattern([[1, 0, 0.8]])];
const before = run(layers, sink);

function compared(after: Analysis, earlier = before): RunDifference {
  const found = difference(earlier, after, defaultThresholds);
  if (isUnlike(found)) throw new Error(found.reason);
  return found;
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
    expect(found.map(({ tokens, dims, alpha }) => [tokens, dims, alpha])).toEqual([
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
    expect(found[2]?.alpha).toBeCloseTo(0.1, 6);
    expect(said(after)).toBe(
      'No massive activation and no sink came or went. Sizes moved in 1 of 3 layers, the first is 1; most in 1 (70.7 %).',
    );
    const [table] = presentMoved(before, after, defaultThresholds).parts;
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

  it('does not compare what has no like', () => {
    expect(said(run(layers.slice(0, 2), sink))).toBe(
      'This run cannot be held against the one before, because it has 1 layer of width 4 now, and had 2 layers of width 4.',
    );
    const tokens = before.tokens;
    if (!tokens) throw new Error('tokens');
    const split: Analysis = { ...before, tokens: { ...tokens, tokens: tokens.tokens.slice(1) } };
    expect(said(split)).toContain('because the text is 11 tokens for it now, and was 12');
    const other: Analysis = {
      ...before,
      tokens: { ...tokens, tokens: tokens.tokens.map((one, i) => (i === 3 ? { ...one, id: 99 } : one)) },
    };
    expect(said(other)).toContain('because the text is other tokens for it now, from token 3 on');
  });
});
