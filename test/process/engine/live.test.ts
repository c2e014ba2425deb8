/** Runs that follow the edits of a text, each held against a run of all of it. */
import { describe, expect, it } from 'vitest';
import { type Analysis, emptyAnalysis, fold } from '../../../src/analysis/analysis.js';
import type { RunRequest } from '../../../src/engine/contract/events.js';
import { collect, failure, relativeError, request, startEngine } from '../../support/engine.js';
import { fixtureModel, path } from '../../support/experiments.js';
import { at, pairs } from '../../support/lists.js';

const [live, whole] = [startEngine(), startEngine()];

async function analysed(engine: typeof live, asked: RunRequest): Promise<Analysis> {
  const events = await collect(engine.analyze(asked));
  expect(failure(events)).toBeUndefined();
  return events.reduce(fold, emptyAnalysis);
}

/** Follows one edit, and says how many tokens were not run again, and why none is where that is so. */
async function follow(model: string, prompt: RunRequest['prompt'], tolerance: number) {
  const asked = request(model, prompt);
  const edited = await analysed(live, { ...asked, live: true });
  expectSame(edited, await analysed(whole, asked), tolerance);
  return edited.finished?.reused;
}

function expectSame(edited: Analysis, expected: Analysis, tolerance: number): void {
  expect(edited.tokens).toEqual(expected.tokens);
  expect(edited.layers).toHaveLength(expected.layers.length);
  for (const [layer, wanted] of pairs(edited.layers, expected.layers)) {
    expect([layer.tokens, layer.dims, layer.nonFinite]).toEqual([wanted.tokens, wanted.dims, wanted.nonFinite]);
    expect(Math.abs(layer.median / wanted.median - 1)).toBeLessThanOrEqual(10 * tolerance);
    for (const part of ['tokenNorm', 'tokenMax', 'dimMax'] as const)
      expect(relativeError(layer[part], wanted[part]), part).toBeLessThanOrEqual(tolerance);
    const largest = Math.abs(at(wanted.top, 0).value);
    for (const [entry, other] of pairs(layer.top, wanted.top))
      expect(Math.abs(entry.value - other.value) / largest).toBeLessThanOrEqual(tolerance);
    expect([at(layer.top, 0).token, at(layer.top, 0).dim]).toEqual([at(wanted.top, 0).token, at(wanted.top, 0).dim]);
  }
  expect(edited.attention.map((one) => one !== undefined)).toEqual(expected.attention.map((one) => one !== undefined));
  for (const [block, wanted] of expected.attention.entries()) {
    const found = edited.attention[block];
    if (!wanted || !found) continue;
    expect([found.heads, found.tokens, found.causal, found.extra?.side]).toEqual([
      wanted.heads,
      wanted.tokens,
      wanted.causal,
      wanted.extra?.side,
    ]);
    expect(relativeError(found.alpha, wanted.alpha)).toBeLessThanOrEqual(tolerance);
    if (wanted.extra)
      expect(relativeError(found.extra?.alpha ?? new Float32Array(), wanted.extra.alpha)).toBeLessThanOrEqual(
        tolerance,
      );
  }
  expect(edited.predictions?.token).toBe(expected.predictions?.token);
  for (const [found, wanted] of pairs(edited.predictions?.top ?? [], expected.predictions?.top ?? []))
    expect(Math.abs(found.probability - wanted.probability)).toBeLessThanOrEqual(10 * tolerance);
}

const text = Array.from({ length: 24 }, (_, i) => (i * 37 + 11) % 150);
const [first, rest] = [text.slice(0, 15), text.slice(15)];
/** By what is done: the ids then, and how many at the beginning are those before. */
const edits: readonly (readonly [what: string, ids: readonly number[], same: number])[] = [
  ['the text itself', text, 0],
  ['a token at the end', [...text, 7], 24],
  ['several at the end', [...text, 7, 8, 9, 10], 25],
  ['the last ones are others', [...text, 7, 140], 25],
  ['one deleted at the end', [...text, 7], 24],
  ['one put into the middle', [...first, 99, ...rest, 7], 15],
  ['some deleted in the middle', [...first.slice(0, 12), ...rest], 12],
  ['nothing', [...first.slice(0, 12), ...rest], 20],
  ['another beginning', [3, ...first], 0],
  ['shrunk to one token', [3], 0],
  ['grown from there', text.slice(0, 20), 0],
];

describe('edits come to what a run of the whole text does', () => {
  it.each([
    ['grows', fixtureModel('gpt2-optimum-past'), 1e-5],
    ['has a branch of its own for a cache', fixtureModel('gpt2-optimum-merged'), 1e-5],
    ['is half precision', fixtureModel('llama-optimum-past-fp16'), 2e-2],
    ['is of a fused operator', fixtureModel('llama-genai-fp32'), 1e-5],
  ])('in a model whose cache %s', async (_, model, tolerance) => {
    for (const [what, ids, same] of edits) {
      const reused = await follow(model, { ids }, tolerance);
      expect(reused, what).toEqual({ tokens: Math.min(same, ids.length - 1), without: undefined });
    }
  });
});
