import { describe, expect, it } from 'vitest';
import { checkCausal, evictedShare, windowedPattern } from '../../../src/engine/stages/windowed.js';
import type { Pattern } from '../../../src/engine/tensors/patterns.js';
import { columnsOf } from '../../../src/engine/tensors/site.js';

const [heads, tokens] = [2, 6];

/** Scores of a head, query and key: nothing in them is regular. */
const score = (head: number, query: number, key: number) => Math.sin(1 + 7 * head + 3 * query + 5 * key);

/** Softmax over the scores of what each query sees, as attention computes it: row after row, [heads, tokens, keys]. */
function attention(sees: (query: number, key: number) => boolean, { first = 0, sink = 0 } = {}): Pattern {
  const rows: number[] = [];
  for (let head = 0; head < heads; head++) {
    for (let query = 0; query < tokens; query++) {
      // Of each extra column before the tokens' own, every query sees all.
      const columns = Array.from({ length: first + tokens }, (_, column) => column - first);
      const weights = columns.map((key) => (key < 0 || sees(query, key) ? Math.exp(score(head, query, key)) : 0));
      const sum = weights.reduce((total, weight) => total + weight, sink);
      rows.push(...weights.map((weight) => weight / sum));
    }
  }
  return { heads, queries: tokens, keys: first + tokens, values: Float32Array.from(rows) };
}

const causal = (query: number, key: number) => key <= query;

describe.each([
  [{ window: 3, sinks: 0 }],
  [{ window: 3, sinks: 1 }],
  [{ window: 2, sinks: 2 }],
  [{ window: 6, sinks: 0 }],
])('attention through a window of %o', (kept) => {
  const seen = (query: number, key: number) =>
    causal(query, key) && (key < kept.sinks || key > query - (kept.window - kept.sinks) || query < kept.window);

  it.each([
    ['plain', {}],
    ['with columns that belong to no token', { first: 2 }],
    ['with a learned sink that has no column', { sink: 0.8 }],
  ])('is what masking the scores gives: %s', (_, more) => {
    const whole = attention(causal, more);
    const windowed = windowedPattern(whole, columnsOf(whole), kept);
    const masked = attention(seen, more).values;
    expect(windowed?.length).toBe(masked.length);
    for (const [i, weight] of masked.entries()) expect(windowed?.[i]).toBeCloseTo(weight, 6);
  });

  it('leaves out the mass that it says', () => {
    const whole = attention(causal);
    const shares = evictedShare(whole, columnsOf(whole), kept);
    expect(shares).toHaveLength(heads);
    for (const [head, share] of shares.entries()) {
      let [lost, queries] = [0, 0];
      for (let query = kept.window; query < tokens; query++, queries++)
        for (let key = 0; key < tokens; key++)
          if (!seen(query, key)) lost += whole.values[(head * tokens + query) * tokens + key] ?? Number.NaN;
      if (queries === 0) expect(share).toBeNaN();
      else expect(share).toBeCloseTo(lost / queries, 6);
    }
  });
});

it('nothing is made of a row of which the window leaves nothing', () => {
  const values = Float32Array.from([1, 0, 0, 1, 0, 0, 1, 0, 0]);
  const onFirst: Pattern = { heads: 1, queries: 3, keys: 3, values };
  expect(windowedPattern(onFirst, columnsOf(onFirst), { window: 1, sinks: 0 })).toBeUndefined();
  expect(windowedPattern(onFirst, columnsOf(onFirst), { window: 2, sinks: 1 })).toEqual(values);
});

it('weights that come each from its own score are left as they are where the window has them', () => {
  const values = Float32Array.from([0.5, 0, 0, 0.75, 0.5, 0, 0.25, 0.75, 0.5]);
  const pattern: Pattern = { heads: 1, queries: 3, keys: 3, values };
  const windowed = windowedPattern(pattern, columnsOf(pattern), { window: 2, sinks: 0 }, 'elementwise');
  expect(windowed).toEqual(Float32Array.from([0.5, 0, 0, 0.75, 0.5, 0, 0, 0.75, 0.5]));
});

it('what sees later tokens is refused a window', () => {
  const whole = attention(() => true);
  const loaded = { file: 'm.onnx', stream: 'text', streams: [{ name: 'text' }] };
  expect(() => checkCausal(columnsOf(whole), loaded)).toThrow(/^m\.onnx lets every token see those after it.*\.$/);
  expect(() => checkCausal(columnsOf(attention(causal)), loaded)).not.toThrow();
});
