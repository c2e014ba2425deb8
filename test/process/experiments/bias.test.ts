import { describe, expect, it } from 'vitest';
import { biasConclusion, splitAttention } from '../../../src/experiments/bias/compute.js';
import { analyzePrompt } from '../../../src/experiments/shared/run.js';
import {
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
import { at, pairs } from '../../support/lists.js';

const engine = startEngine();

const sample = text('media/sample.md');
const of = (
  model: string,
  tokens?: readonly number[],
  prompt: { text: string } | { ids: number[] } = { text: sample },
) => finish(splitAttention(engine, { ...budget, model: demoModel(model), prompt, thresholds, tokens }));

/** Largest relative distance of two lists. */
const apart = (actual: readonly number[], expected: readonly number[]) =>
  Math.max(...pairs(actual, expected).map(([x, wanted]) => off(x, wanted)));

describe('implicit attention bias equals PyTorch', () => {
  it.each(references.implicitBias.map((reference) => [reference.model, reference.blocks] as const))(
    '%s',
    async (model, expected) => {
      const { blocks, chosen, reason } = await of(model);
      expect([chosen, reason]).toEqual(model === 'llama' ? [[0], 'massive'] : ['extra', 'extra']);
      expect(blocks.map(({ layer }) => layer)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      // The chain is about tokens, which an extra column is not.
      const chains = (model === 'llama' ? blocks : (await of(model, [0])).blocks).map((block) => block.participation);
      for (const [b, [block, reference]] of pairs(blocks, expected).entries()) {
        const { heads, projected, keyNorm, valueNorm, counted } = block;
        const chain = at(chains, b);
        expect(counted.from).toBe(1);
        const found = [
          heads.map((head) => head.chosen.norm),
          heads.map((head) => head.rest.norm),
          heads.map((head) => head.rest.cosine),
          [projected?.chosen.norm ?? 0, projected?.rest.norm ?? 0],
          [projected?.chosen.cosine ?? 0, projected?.rest.cosine ?? 0],
          [...chain.input, ...(chain.normed ?? [])],
          [...(keyNorm ?? []).map(([first]) => first), ...(keyNorm ?? []).map(([, rest]) => rest)],
          [...valueNorm.map(([first]) => first), ...valueNorm.map(([, rest]) => rest)],
        ];
        const wanted = [
          reference.firstNorm,
          reference.restNorm,
          reference.restCosine,
          [reference.projectedFirstNorm, reference.projectedRestNorm],
          [reference.projectedFirstCosine, reference.projectedRestCosine],
          [...reference.participationInput, ...reference.participationNormed],
          reference.keyNorm.flat(),
          reference.valueNorm.flat(),
        ];
        for (const [i, [list, values]] of pairs(found, wanted).entries())
          expect(apart(list, values), `block ${b}, ${i}`).toBeLessThan(1e-5);
        // One key alone gives every query the same direction.
        for (const head of heads) expect(head.chosen.cosine).toBeCloseTo(1, 6);
      }
    },
  );
});

describe('what can be split', () => {
  const run = async (name: string) => {
    const feeds = fixtureModel(name).replace('model.onnx', 'golden.safetensors');
    await analyzePrompt(engine, { ...budget, model: fixtureModel(name), prompt: { feeds } });
    return engine.query({ type: 'bias', layer: 2, tokens: [0, 1] });
  };

  it('operators that hide the pattern as graphs that show it', async () => {
    // The same weights in three forms: heads side by side, grouped in an operator, and an operator of opset 23.
    const [plain, grouped, standard] = [
      await run('llama-optimum-past'),
      await run('llama-genai-fp32'),
      await run('llama-dynamo-op23'),
    ];
    for (const other of [grouped, standard]) {
      for (const [head, expected] of pairs(other.heads, plain.heads)) {
        expect(off(head.chosen.norm, expected.chosen.norm)).toBeLessThan(1e-5);
        expect(off(head.share, expected.share)).toBeLessThan(1e-5);
      }
      expect(off(other.projected?.rest.norm ?? 0, plain.projected?.rest.norm ?? 1)).toBeLessThan(1e-5);
      expect(off(other.participation.normed?.[1] ?? 0, plain.participation.normed?.[1] ?? 1)).toBeLessThan(1e-5);
    }
    expect(grouped.keyNorm).toHaveLength(2);
  });

  it('without the bias of the output projection', async () => {
    // The same weights, with the bias inside the projection's operator and in a later one.
    const [inside, outside] = [await run('gpt2-dynamo-op18'), await run('gpt2-ort-attention-past')];
    for (const part of ['chosen', 'rest'] as const) {
      expect(off(inside.projected?.[part].norm ?? 0, outside.projected?.[part].norm ?? 1)).toBeLessThan(1e-4);
      expect(off(inside.projected?.[part].cosine ?? 0, outside.projected?.[part].cosine ?? 1)).toBeLessThan(1e-4);
    }
  });

  it('both parts add up: all tokens but the last few leave nothing to the rest', async () => {
    const { blocks } = await of('llama-plain', [0, 1, 2, 3, 4], { ids: [5, 6, 7, 8, 9, 10, 11] });
    expect(blocks).toHaveLength(8);
    for (const { heads, counted } of blocks) {
      expect(counted).toEqual({ from: 5, queries: 2 });
      expect(heads).toHaveLength(4);
      for (const { share, rest } of heads) {
        expect(share).toBeLessThan(1);
        expect(rest.norm).toBeGreaterThan(0);
      }
    }
  });
});

describe('in words', () => {
  it('says what the bias is, and that nothing was massive', async () => {
    expect(biasConclusion(await of('llama'))).toMatch(/^30\.\d % of the attention goes to ⟨bos⟩.*acts as a bias/);
    expect(biasConclusion(await of('llama-plain'))).toMatch(/^No token is massive, so the first one was taken\./);
  });
});

describe('a bias is what queries share more than they share the rest', () => {
  const said = (chosen: number, rest: number) => {
    const vector = (cosine: number) => ({ norm: 1, cosine });
    const heads = [{ share: 0.5, chosen: vector(chosen), rest: vector(rest) }];
    const pair = [1, 1] as const;
    const block = { layer: 1, counted: { from: 1, queries: 9 }, heads, projected: undefined, keyNorm: undefined };
    return biasConclusion({
      ...{
        model: '',
        name: '',
        tokens: 10,
        total: 10,
        bos: true,
        sequence: [],
        window: { start: 0, end: 10 },
        thresholds,
        reason: 'given',
        chosen: [0],
        names: ['a'],
      },
      blocks: [
        {
          ...block,
          valueNorm: [pair],
          participation: { input: pair, normed: pair },
          norms: { input: pair, normed: pair },
        },
      ],
    });
  };
  it.each([
    [0.95, 0.3, /0\.95, that of the rest 0\.30: every query gets nearly the same vector, a constant bias\.$/],
    [0.95, 0.93, /nearly the same vector, but from the rest as well, so it is no bias\.$/],
    [0.8, 0.3, /acts as a bias scaled by each head\.$/],
    [0.8, 0.7, /changes with the query as the rest does, so it is no bias\.$/],
  ])('cosine %s against %s', (chosen, rest, sentence) => {
    expect(said(chosen, rest)).toMatch(sentence);
  });
});

describe('what does not fit', () => {
  it.each([
    ['a token beyond the end', [500], /There is no token 500: the run has 105\./],
    ['no queries after the chosen tokens', [104], /give a longer text/],
  ])('%s', async (_, tokens, message) => {
    await expect(of('llama', tokens)).rejects.toThrow(message);
  });

  it('a text of one token', async () => {
    await expect(of('llama', [0], { ids: [0] })).rejects.toThrow(/give a longer text/);
  });

  it('stops when asked to', async () => {
    const stop = new AbortController();
    const steps = splitAttention(
      engine,
      { ...budget, model: demoModel('llama'), prompt: { text: sample }, thresholds },
      stop.signal,
    );
    const seen: string[] = [];
    await expect(async () => {
      for await (const { phase } of steps) {
        seen.push(phase);
        if (phase === 'asking') stop.abort();
      }
    }).rejects.toThrow(/stopped/);
    expect(seen.filter((phase) => phase === 'asking')).toHaveLength(1);
  });
});
