import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyzePrompt } from '../../../src/experiments/shared/run.js';
import {
  meanShare,
  type StreamingRequest,
  streamingConclusion,
  streamThrough,
} from '../../../src/experiments/streaming/compute.js';
import {
  boats,
  budget,
  demoModel,
  finish,
  fixtureModel,
  off,
  path,
  references,
  startEngine,
  temporaryFolder,
  text,
  thresholds,
} from '../../support/experiments.js';
import { at, pairs } from '../../support/lists.js';

const engine = startEngine();
/** With a tokenizer for files that have none. */
const reading = startEngine();
const folder = await temporaryFolder();

const whole = text(boats);
const of = (model: string, more: Partial<StreamingRequest> = {}) => {
  const standard = { window: 64, sinks: 4, length: 512, tokens: 2048, rolling: 0, thresholds };
  return finish(streamThrough(engine, { ...budget, model: demoModel(model), text: whole, ...standard, ...more }));
};

describe('streaming windows equal PyTorch', () => {
  it.each(references.streaming.map((reference) => [reference.model, reference] as const))(
    '%s',
    async (model, reference) => {
      const result = await of(model);
      const { evicted, rows } = result;
      for (const kind of ['window', 'window and sinks'] as const) {
        const expected = reference.evictedShare[kind].flat();
        const actual = evicted[kind].flat();
        for (const [share, wanted] of pairs(actual, expected)) expect(Math.abs(share - wanted)).toBeLessThan(1e-6);
      }
      expect(rows.map(({ name }) => name)).toEqual(Object.keys(reference.perplexity));
      for (const { name, perplexity } of rows)
        expect(off(perplexity, new Map(Object.entries(reference.perplexity)).get(name) ?? 0), name).toBeLessThan(1e-5);
      expect(streamingConclusion(result)).toMatch(
        // Only the models that lean on their first token get something back.
        model === 'llama' || model === 'llama-sink'
          ? /^The first tokens are sinks that the model needs: /
          : /^The first tokens give nothing back/,
      );
    },
  );
});

describe('a window inside operators', () => {
  const ids = Array.from({ length: 12 }, (_, i) => (i * 37 + 5) % 150);
  const losses = async (name: string, window: number) => {
    const found: number[][] = [];
    const variants = [
      { name: 'as is', interventions: [] },
      { name: 'window', interventions: [], attention: { window, sinks: 0 } },
    ];
    const request = { ...budget, model: fixtureModel(name), sequences: [{ ids, from: 1, variants }] };
    for await (const event of engine.run('measure', request)) {
      if (event.type === 'failed') throw new Error(event.problem.message);
      if (event.type === 'measured') found[event.variant] = Array.from(event.losses);
    }
    return { asIs: at(found, 0), windowed: at(found, 1) };
  };

  it.each([
    'llama-genai-fp32',
    'gemma2-genai-fp32',
    'llama-dynamo-op23',
    'gpt2-ort-attention-past',
    'gpt_oss-dynamo-op18',
  ])('that sees everything changes nothing: %s', async (name) => {
    const { asIs, windowed } = await losses(name, ids.length);
    for (const [loss, plain] of pairs(windowed, asIs)) expect(Math.abs(loss - plain)).toBeLessThan(1e-4);
  });

  it('does the same to the same weights in other forms', async () => {
    const plain = await losses('llama-optimum-past', 4);
    for (const name of ['llama-genai-fp32', 'llama-dynamo-op23']) {
      const { asIs, windowed } = await losses(name, 4);
      for (const [loss, expected] of pairs(windowed, plain.windowed))
        expect(Math.abs(loss - expected)).toBeLessThan(1e-4);
      // The loss of the last token, which sees least of what was before.
      expect(at(windowed, -1)).not.toBeCloseTo(at(asIs, -1), 2);
    }
  });

  it('says so where tokens see what comes after them', async () => {
    await expect(losses('bert-optimum-op14', 4)).rejects.toThrow(/lets every token see those after it/);
    const model = fixtureModel('bert-optimum-op14');
    const feeds = model.replace('model.onnx', 'golden.safetensors');
    await analyzePrompt(engine, { ...budget, model, prompt: { feeds } });
    const evicted = engine.query({ type: 'evicted', layer: 1, windows: [{ window: 4, sinks: 0 }] });
    await expect(evicted).rejects.toThrow(/cannot be run through a sliding window/);
  });
});

it.each([
  ['t5-whole-ts-op17', /^A text is run by the encoder of .+ sliding window; the decoder takes more than a text/],
  ['cross-t5-optimum-past', /is not run on a text alone: its input "past_key_values\.0\.encoder\.key" has to be given/],
])('what attends to an encoder is not run on a text: %s', async (name, sentence) => {
  const tokenizer = join(folder, 'tokenizer.json');
  const word = { type: 'WordLevel', vocab: { one: 0 }, unk_token: 'one' };
  const json = { version: '1.0', added_tokens: [], pre_tokenizer: { type: 'Whitespace' }, model: word };
  await writeFile(tokenizer, JSON.stringify(json));
  reading.useTokenizers(() => tokenizer);
  const request = { ...budget, thresholds, text: 'one '.repeat(20), window: 4, sinks: 1, length: 8 };
  const model = path(`test/zoo/families/${name}/model.onnx`);
  await expect(finish(streamThrough(reading, { ...request, model }))).rejects.toThrow(sentence);
});

describe('what does not fit', () => {
  it.each([
    ['a window that leaves nothing out', { window: 512 }, /leaves nothing out/],
    ['more sinks than window', { sinks: 64 }, /fill a window of 64/],
    ['sequences above the context', { length: 4096, tokens: undefined }, /at most 512 fit/],
    ['an empty text', { text: '' }, /The text is empty/],
    [
      'a text too short',
      { text: 'Three men.' },
      /run as \d tokens, of which an attention window of 64 leaves nothing out/,
    ],
  ])('%s', async (_, more, message) => {
    await expect(of('llama', more)).rejects.toThrow(message);
  });

  it('a model without a tokenizer', async () => {
    await expect(of('llama', { model: fixtureModel('llama-optimum-past') })).rejects.toThrow(/tokenizer\.json/);
  });
});

it('has a share of attention for every head', async () => {
  const { evicted } = await of('llama-bias', { tokens: 512 });
  expect(evicted.window.map((heads) => heads.length)).toEqual(new Array(8).fill(4));
  // The extra column is always seen, and takes what first tokens take elsewhere.
  expect(meanShare(evicted.window) - meanShare(evicted['window and sinks'])).toBeLessThan(0.01);
});
