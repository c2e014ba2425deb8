import { describe, expect, it } from 'vitest';
import { type CompareRequest, compareConclusion, compareRuns } from '../../../src/experiments/compare/compute.js';
import analyses from '../../references/analysis.json';
import {
  boats,
  budget,
  demoModel,
  finish,
  fixtureModel,
  off,
  references,
  startEngine,
  text,
  thresholds,
} from '../../support/experiments.js';
import { at, found, pairs } from '../../support/lists.js';

const engine = startEngine();

const names = ['llama', 'llama-plain', 'llama-sink', 'llama-bias'] as const;
const sample = { name: 'sample.md', text: text('media/sample.md') };
const of = (models: readonly string[], more: Partial<CompareRequest> = {}) =>
  finish(compareRuns(engine, { ...budget, models, texts: [sample], window: 256, thresholds, ...more }));

describe('models side by side equal PyTorch', () => {
  it('top activations, medians, attention on the first token and the extra column', async () => {
    const { runs, axes } = await of(names.map(demoModel));
    const expected = new Map(Object.entries(analyses.models));
    for (const [run, name] of pairs(runs, names)) {
      const reference = expected.get(name);
      if (!reference) throw new Error(name);
      expect([run.name, run.tokens]).toEqual([name, reference.ids.length]);
      expect(run.prefix ?? null).toBe({ llama: 0, 'llama-sink': 1, 'llama-plain': null, 'llama-bias': null }[name]);
      for (const [layer, wanted] of pairs(run.layers, reference.layers)) {
        expect(off(layer.median, wanted.median)).toBeLessThan(1e-5);
        for (const [t, { value }] of wanted.top.entries())
          expect(off(at(layer.top, t).value, value)).toBeLessThan(1e-5);
      }
      for (const [alpha, wanted] of pairs(run.alpha, reference.alphaFirst)) {
        for (const [share, expected] of pairs(alpha?.first, wanted))
          expect(Math.abs(share - expected)).toBeLessThan(1e-6);
      }
      const drawn = reference.alphaFirst.flat().filter((alpha) => alpha > 0.3).length;
      expect(run.sinks.rate).toBeCloseTo(drawn / 32, 10);
      const extra: number[] | undefined = reference.alphaExtra?.flat();
      const extraRate = extra && extra.filter((alpha) => alpha > 0.3).length / 32;
      if (extraRate === undefined) expect(run.sinks.extraRate).toBeUndefined();
      else expect(run.sinks.extraRate).toBeCloseTo(extraRate, 10);
      // The sample fills no window of 256: it is one by itself.
      expect(run.perplexity).toMatchObject({ window: reference.ids.length, windows: 1, left: 0 });
    }
    expect(axes).toMatchObject({ layers: 8, tokens: 105, heads: 4 });
    expect(off(axes.largest, Math.abs(at(at(analyses.models.llama.layers, 8).top, 0).value))).toBeLessThan(1e-5);
  });

  it('perplexities', async () => {
    const texts = [{ name: 'boats', text: text(boats) }];
    const reference = references.perplexity.filter(({ file, maxTokens }) => file === boats && maxTokens === 4096);
    const { runs } = await of(['llama-plain', 'llama-bias'].map(demoModel), { texts, tokens: 4096 });
    expect(runs).toHaveLength(2);
    for (const run of runs) {
      const expected = found(reference, ({ model }) => model === run.name);
      if (typeof run.perplexity === 'string') throw new Error(run.perplexity);
      expect(run.perplexity.tokens).toBe(expected.tokens);
      expect(off(run.perplexity.perplexity, expected.perplexity)).toBeLessThan(1e-5);
      expect(run.tokens).toBe(256);
    }
  });
});

describe('differences', () => {
  it('where shapes agree, entry by entry', async () => {
    const { runs, differences } = await of(['llama-plain', 'llama-bias', 'llama'].map(demoModel));
    const [plainRun, biasRun, llamaRun] = [at(runs, 0), at(runs, 1), at(runs, 2)];
    const [bias, llama] = [at(differences, 0), at(differences, 1)];
    expect([bias.of, bias.from, llama.of, llama.from]).toEqual([1, 0, 2, 0]);
    for (const [k, [log, { ratio }]] of pairs(bias.ratio, biasRun.layers).entries())
      expect(10 ** log * at(plainRun.layers, k).ratio).toBeCloseTo(ratio, 4);
    // The extra column counts as a sink, like the first token.
    const [without, block] = [at(plainRun.alpha, 3), at(biasRun.alpha, 3)];
    const drawn = at(block.first, 0) + at(block.extra, 0) - at(without.first, 0);
    expect(bias.sink?.[3]?.[0]).toBeCloseTo(drawn, 10);
    expect(bias.tokenMax?.[8]?.[3]).toBeCloseTo(at(biasRun.tokenMax, 8, 3) - at(plainRun.tokenMax, 8, 3), 4);
    expect(bias.tokens).toEqual({ of: 0, from: 0, count: 104 });
    // A prefix token before the text: the text's own tokens are set side by side.
    expect(llama.ratio).toHaveLength(9);
    expect(llama.tokens).toEqual({ of: 1, from: 0, count: 104 });
    expect(llama.tokenMax?.[8]?.[3]).toBeCloseTo(at(llamaRun.tokenMax, 8, 4) - at(plainRun.tokenMax, 8, 3), 4);
  });

  it('prefix tokens against each other, whatever their ids', async () => {
    const { differences } = await of(['llama', 'llama-sink'].map(demoModel));
    expect(differences[0]?.tokens).toEqual({ of: 0, from: 0, count: 105 });
  });

  it('by token only where the ids are the same: not where two texts have as many', async () => {
    const texts = ['One lamp was lit.', 'Two lamps are lit.'].map((text, i) => ({ name: `${i}`, text }));
    const { runs, differences } = await of([demoModel('llama')], { texts, window: 5 });
    expect(runs.map(({ tokens }) => tokens)).toEqual([5, 5]);
    const { ratio, tokens, tokenMax } = at(differences, 0);
    expect([tokens, tokenMax]).toEqual([undefined, undefined]);
    expect(ratio).toHaveLength(9);
  });

  it('none between models of other depth, and one model on two texts', async () => {
    const texts = [sample, { name: 'other', text: 'Another text, which is shorter.' }];
    const { runs, differences } = await of([demoModel('llama')], { texts });
    expect(runs.map((run) => run.text)).toEqual(['sample.md', 'other']);
    const { ratio, tokenMax } = at(differences, 0);
    expect(ratio).toHaveLength(9);
    expect(tokenMax).toBeUndefined();
    expect(at(runs, 1).tokens).toBeLessThan(20);
  });
});

it('concludes which are massive, and what an explicit bias is for', async () => {
  const words = compareConclusion(await of(names.map(demoModel)));
  expect(words).toMatch(
    /^Massive activations in llama \(at most [\d,]+ × the median\).*; none in .*llama-bias \(at most [\d.,]+ × the median\)/,
  );
  expect(words).toMatch(/; massive is above 100 and 1,000 × the median\. .* an explicit bias does its work\.$/);
});

it('says how far it is with every window', async () => {
  const texts = [{ name: 'boats', text: text(boats) }];
  const models = ['llama', 'llama-plain'].map(demoModel);
  const seen: number[][] = [];
  for await (const { done, of: all } of compareRuns(engine, {
    ...budget,
    models,
    texts,
    window: 256,
    tokens: 512,
    thresholds,
  }))
    seen.push([done, all]);
  expect(seen).toEqual([1, 2, 3, 4].map((done) => [done, 4]));
});

describe('what does not fit', () => {
  it('one model on one text', async () => {
    await expect(of([demoModel('llama')])).rejects.toThrow(/nothing to compare/);
  });

  it('a model without a tokenizer', async () => {
    await expect(of([demoModel('llama'), fixtureModel('gpt2-ts-op14')])).rejects.toThrow(/tokenizer\.json/);
  });

  it('an empty text', async () => {
    const texts = [{ name: 'empty', text: '' }];
    await expect(of(['llama', 'llama-plain'].map(demoModel), { texts })).rejects.toThrow(/empty|no text|at least one/i);
  });
});
