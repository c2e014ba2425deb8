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

const text = Array.from({ length: 24 }, (_, i) => (i * 37 + 11) % 97);
const [first, rest] = [text.slice(0, 15), text.slice(15)];
/** By what is done: the ids then, and how many at the beginning are not run again: of the last four none need be. */
const edits: readonly (readonly [what: string, ids: readonly number[], same: number])[] = [
  ['the text itself', text, 0],
  ['a token at the end', [...text, 7], 23],
  ['several at the end', [...text, 7, 8, 9, 10], 23],
  ['the last ones are others', [...text, 7, 90], 25],
  ['one deleted at the end', [...text, 7], 24],
  ['one put into the middle', [...first, 98, ...rest, 7], 15],
  ['some deleted in the middle', [...first.slice(0, 12), ...rest], 12],
  ['nothing', [...first.slice(0, 12), ...rest], 20],
  ['another beginning', [3, ...first], 0],
  ['shrunk to one token', [3], 0],
  ['grown from there', text.slice(0, 20), 0],
];

describe('edits come to what a run of the whole text does', () => {
  it.each([
    ['has a branch of its own for a cache', fixtureModel('gpt2-optimum-merged'), 1e-5],
    ['grows, in half precision', fixtureModel('llama-optimum-past-fp16'), 2e-2],
    ['is of a fused operator', fixtureModel('llama-genai-fp32'), 1e-5],
  ])('in a model whose cache %s', async (_, model, tolerance) => {
    for (const [what, ids, same] of edits) {
      const reused = await follow(model, { ids }, tolerance);
      expect(reused, what).toEqual({ tokens: Math.min(same, ids.length - 1), without: undefined });
    }
  });
});

describe('a text that is typed', () => {
  const lamp = 'The lamp was lit. The door was shut.';

  it('comes to what it is in whole, however its tokens are cut, and when it is nothing', async () => {
    const model = path('media/models/llama/model_cached.onnx');
    const said: (number | undefined)[] = [];
    const type = async (typed: string) => said.push((await follow(model, { text: typed }, 1e-5))?.tokens);
    for (const typed of [lamp, `${lamp} He w`, `${lamp} He was`, lamp.replace('shut', 'open')]) await type(typed);
    const events = await collect(live.analyze(request(model, { text: '' }, { live: true })));
    expect(failure(events)).toMatchObject({ code: 'input', message: expect.stringMatching(/no text to analyze/) });
    await type(lamp);
    const [, more = 0] = said;
    // What is typed behind the text is run with its last token; the middle is two tokens before the end.
    expect(said).toEqual([0, more, more, more - 1, more - 1]);
    expect(more).toBeGreaterThan(9);
  });
});

describe('what cannot go on is run in whole, and says why', () => {
  it.each([
    ['has none', fixtureModel('gpt2-ts-op14'), /no inputs for keys and values/],
    [
      'has room for 8',
      path('test/zoo/families/cache-gqa-declared-8/model.onnx'),
      /has room for 8 tokens, and there are more/,
    ],
    ['is seen from behind', path('test/zoo/families/operator-gqa-bidirectional/model.onnx'), /does not give what/],
  ])('where the cache %s', async (_, model, why) => {
    for (const ids of [text.slice(0, 11), text.slice(0, 12), text.slice(0, 10)]) {
      const reused = await follow(model, { ids }, 1e-5);
      expect(reused).toEqual({ tokens: 0, without: expect.stringMatching(why) });
    }
  });

  it('and goes on again where it is short enough', async () => {
    const model = path('test/zoo/families/cache-llama-optimum-past-8/model.onnx');
    const said: unknown[] = [];
    for (const tokens of [8, 9, 12, 13, 14, 8, 9]) said.push(await follow(model, { ids: text.slice(0, tokens) }, 1e-5));
    const why = expect.stringMatching(/has room for 8 tokens, and what comes first is still looked at/);
    const [none, all] = [
      { tokens: 0, without: undefined },
      { tokens: 8, without: undefined },
    ];
    // A few more than there is room for are seen beside what the cache holds.
    expect(said).toEqual([none, all, all, all, { tokens: 0, without: why }, none, all]);
  });
});

describe('edits that follow each other', () => {
  const model = fixtureModel('gpt2-optimum-past');

  it('leave the last alone, in the same process and from what was there before', async () => {
    const asked = (ids: readonly number[]) => request(model, { ids: [...ids] }, { live: true });
    await analysed(live, asked(text));
    const { pid } = live;
    const [given, last] = [live.analyze(asked([...text, 1, 2])), live.analyze(asked([...text, 1, 3]))];
    const [up, through] = await Promise.all([collect(given), collect(last)]);
    expect(failure(up)).toMatchObject({ code: 'cancelled', message: expect.stringMatching(/edited since/) });
    expect(failure(through)).toBeUndefined();
    const edited = through.reduce(fold, emptyAnalysis);
    expectSame(edited, await analysed(whole, request(model, { ids: [...text, 1, 3] })), 1e-5);
    expect(edited.finished?.reused?.tokens).toBe(text.length - 1);
    expect(live.pid).toBe(pid);
  });

  it('are asked about as any run is', async () => {
    const ids = [...text, 1, 3, 4];
    await analysed(live, request(model, { ids }, { live: true }));
    await analysed(whole, request(model, { ids }));
    const both = [live, whole].map(async (engine) => [
      await engine.query({ type: 'pattern', layer: 2, head: 1 }),
      await engine.query({ type: 'magnitudes', over: 'tokens', at: 2, most: { rows: 4, columns: 4 } }),
      await engine.query({ type: 'surprisal' }),
    ]);
    const [found, wanted] = await Promise.all(both);
    expect(JSON.stringify(found, rounded)).toBe(JSON.stringify(wanted, rounded));
  });

  it('are told that the context is full, and go on when it is not', async () => {
    const full = Array.from({ length: 65 }, (_, i) => i);
    const events = await collect(live.analyze(request(model, { ids: full }, { live: true })));
    expect(failure(events)).toMatchObject({ code: 'too-long', limit: { tokens: 65, context: 64 } });
    expect(await follow(model, { ids: text }, 1e-5)).toEqual({ tokens: text.length - 1, without: undefined });
  });
});

/** Numbers as they are to three digits. */
const rounded = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(3)) : value);
