import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunEvent } from '../../../src/engine/contract/events.js';
import { openSafetensors } from '../../../src/statistics/safetensors.js';
import { collect, failure, only, readFloats, relativeError, request, startEngine } from '../../support/engine.js';
import { fixture, temporaryFolder, zoo } from '../../support/files.js';
import { at } from '../../support/lists.js';

const folder = await temporaryFolder();
const engine = startEngine();

/** Runs a fixture on its golden feeds and saves everything. */
async function save(name: string): Promise<{ file: string; golden: string; events: RunEvent[] }> {
  const { model, golden } = fixture(name);
  const file = join(folder, `${name}.safetensors`);
  const events = await collect(
    engine.analyze(request(model, { feeds: golden }, { save: { file, attention: true, mlp: true, logits: true } })),
  );
  expect(failure(events)).toBeUndefined();
  return { file, golden, events };
}

const isResult = (name: string) => /^(hidden|resid_mid|attn|mlp)\.\d+$|^logits$/.test(name);

// The whole zoo is compared in test/zoo; these are the forms that the engine treats in ways of their own.
describe.each([
  ['gpt2-optimum-past', 'empty caches, a mask and positions'],
  ['gpt2-ort-attention-past', 'an int32 mask, caches of rank five, patterns rebuilt'],
  ['llama-genai-fp32', 'seqlens from the mask, head size unknown to the inputs'],
  ['llama-dynamo-op18-ext', 'external data'],
  ['qwen2-ts-op17-static', 'one fixed length'],
  ['nanogpt_bias-ts-op14', 'patterns with a column of their own'],
])('%s (%s)', (name) => {
  it('saves what PyTorch computes, looking at it for the first time and again', async () => {
    for (const _ of ['first', 'kept']) {
      const { file, golden } = await save(name);
      const expected = (await openSafetensors(golden)).names.filter(isResult);
      expect((await openSafetensors(file)).names).toEqual(expect.arrayContaining(expected));
      for (const tensor of expected) {
        const [actual, reference] = [await readFloats(file, tensor), await readFloats(golden, tensor)];
        expect([tensor, actual.shape]).toEqual([tensor, reference.shape]);
        expect(relativeError(actual.values, reference.values), tensor).toBeLessThan(1e-5);
      }
    }
  });
});

it('runs a half-precision file', async () => {
  const { file, golden } = await save('llama-optimum-past-fp16');
  for (const tensor of ['hidden.0', 'hidden.3', 'attn.2', 'logits']) {
    const [actual, reference] = [await readFloats(file, tensor), await readFloats(golden, tensor)];
    expect(relativeError(actual.values, reference.values), tensor).toBeLessThan(1e-2);
  }
});

describe('attention within windows or frames', () => {
  it('is left out, block by block, with what it is over, in place of a part of it that looks like all', async () => {
    const model = join(zoo, '../families/timesformer-ts17/model.onnx');
    const feeds = join(zoo, '../families/timesformer-ts17/golden.safetensors');
    const events = await collect(engine.analyze(request(model, { feeds })));
    expect(failure(events)).toBeUndefined();
    const leftOut = events.filter((event) => event.type === 'pattern-left-out');
    expect(leftOut.map(({ layer }) => layer)).toEqual([1, 2]);
    expect(at(leftOut, 0).why).toMatch(/\[3, 4, 10, 10\].*a frame.*not its 28 tokens/);
    expect(events.filter(({ type }) => type === 'attention')).toEqual([]);
    const refused = engine.query({ type: 'pattern', layer: 1, head: 0 });
    await expect(refused).rejects.toMatchObject({
      code: 'input',
      message: expect.stringMatching(/block 1.*28 tokens/),
    });
  });
});

describe('a file with one fixed length', () => {
  const { model, golden } = fixture('qwen2-ts-op17-static');
  let ids: number[];
  beforeAll(async () => {
    const { bytes } = await (await openSafetensors(golden)).tensor('input_ids');
    ids = Array.from(new BigInt64Array(bytes.buffer), Number);
  });

  it('gives a shorter text what the beginning of a full one gets', async () => {
    const file = join(folder, 'padded.safetensors');
    const saving = { file, attention: true, mlp: true, logits: true };
    const events = await collect(engine.analyze(request(model, { ids: ids.slice(0, 7) }, { save: saving })));
    expect(failure(events)).toBeUndefined();
    for (const name of ['hidden.3', 'resid_mid.1', 'mlp.2', 'logits']) {
      const [actual, reference] = [await readFloats(file, name), await readFloats(golden, name)];
      const width = at(reference.shape, 1);
      expect(actual.shape).toEqual([7, width]);
      expect(relativeError(actual.values, reference.values.subarray(0, 7 * width)), name).toBeLessThan(1e-5);
    }
    const [pattern, reference] = [await readFloats(file, 'attn.1'), await readFloats(golden, 'attn.1')];
    expect(pattern.shape).toEqual([4, 7, 7]);
    expect(pattern.values[3 * 49 + 6 * 7 + 2]).toBeCloseTo(at(reference.values, 3 * 400 + 6 * 20 + 2), 5);
    expect(only(events, 'layer').every((event) => event.statistics.tokens === 7)).toBe(true);
    expect(at(only(events, 'predictions'), 0).token).toBe(6);
  });

  it('refuses a longer one with the length that fits', async () => {
    const problem = failure(await collect(engine.analyze(request(model, { ids: [...ids, 1] }))));
    expect(problem).toMatchObject({ code: 'too-long', limit: { tokens: 21, context: 20 } });
  });
});

// The smaller budget has no room for all hidden states, so they are computed again.
describe.each([2 ** 31, 140_000])('questions with a budget of %i bytes', (memory) => {
  const { model, golden } = fixture('gpt2-optimum-past');
  beforeAll(async () => {
    const events = await collect(engine.analyze(request(model, { feeds: golden }, { memory, attention: false })));
    expect(failure(events)).toBeUndefined();
  });

  it('gets a hidden state', async () => {
    const { values } = await readFloats(golden, 'hidden.2');
    const answer = await engine.query({ type: 'entries', layer: 2, of: 'nodes' });
    expect(relativeError(answer.values, values)).toBeLessThan(1e-5);
  });

  it('gets the largest entries of a hidden state, cell by cell, and where they are', async () => {
    const { values, shape } = await readFloats(golden, 'hidden.2');
    const dims = at(shape, 1);
    const most = { rows: 7, columns: 10 };
    const answer = await engine.query({ type: 'magnitudes', over: 'tokens', at: 2, most });
    // 20 tokens in threes, 64 dims in sevens.
    expect(answer).toMatchObject({ rows: 7, columns: 10, pool: { rows: 3, columns: 7 } });
    const cells = new Float32Array(70);
    for (const [place, value] of values.entries()) {
      const cell = 10 * Math.floor(place / dims / 3) + Math.floor((place % dims) / 7);
      if (Math.abs(value) > Math.abs(at(cells, cell))) cells[cell] = value;
    }
    expect(relativeError(answer.values, cells)).toBeLessThan(1e-5);
    expect(Array.from(answer.places, (place) => at(values, place))).toEqual([...cells]);
  });

  it('gets every layer of one token', async () => {
    const most = { rows: 99, columns: 999 };
    const { pool, values } = await engine.query({ type: 'magnitudes', over: 'layers', at: 4, most });
    expect(pool).toEqual({ rows: 1, columns: 1 });
    const layers = await Promise.all(
      [0, 1, 2, 3].map(async (k) => (await readFloats(golden, `hidden.${k}`)).values.subarray(4 * 64, 5 * 64)),
    );
    expect(values).toHaveLength(4 * 64);
    expect(relativeError(values, Float32Array.from(layers.flatMap((layer) => [...layer])))).toBeLessThan(1e-5);
  });

  it('gets the pattern of a head', async () => {
    const { values } = await readFloats(golden, 'attn.1');
    const answer = await engine.query({ type: 'pattern', layer: 2, head: 3 });
    expect([answer.queries, answer.keys]).toEqual([20, 20]);
    expect(relativeError(answer.values, values.subarray(3 * 400, 4 * 400))).toBeLessThan(1e-5);
  });

  it('gets predictions after any token, as the softmax of the logits', async () => {
    const { values } = await readFloats(golden, 'logits');
    const row = Array.from(values.subarray(4 * 160, 5 * 160));
    const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
    const best = row
      .map((logit, id) => ({ id, probability: Math.exp(logit) / sum }))
      .sort((a, b) => b.probability - a.probability);
    const { token, top } = await engine.query({ type: 'predictions', token: 4 });
    expect(token).toBe(4);
    expect(top.map(({ id }) => id)).toEqual(best.slice(0, 10).map(({ id }) => id));
    expect(at(top, 0).probability).toBeCloseTo(at(best, 0).probability, 6);
  });

  it.each([
    [{ type: 'entries', layer: 4, of: 'nodes' }, /no layer 4: it must be from 0 to 3/],
    [{ type: 'lens', layer: 4, point: 'resid_post', top: 1 }, /no layer 4/],
    [{ type: 'attribution', token: 20 }, /no token 20: it must be from 0 to 19/],
    [{ type: 'predictions', token: 20 }, /no token 20/],
    [{ type: 'magnitudes', over: 'tokens', at: 4, most: { rows: 1, columns: 1 } }, /no layer 4/],
    [{ type: 'magnitudes', over: 'layers', at: 20, most: { rows: 1, columns: 1 } }, /no token 20/],
    [{ type: 'pattern', layer: 0, head: 0 }, /no layer 0/],
    [{ type: 'pattern', layer: 1, head: 4 }, /no head 4/],
    [{ type: 'predictions', token: -1 }, /token/],
  ] as const)('is refused for what is not there: %o', async (query, message) => {
    await expect(engine.query(query)).rejects.toMatchObject({ code: 'input', message: expect.stringMatching(message) });
  });
});

it.each([2 ** 31, 140_000])('gives the surprisal of every token with a budget of %i bytes', async (memory) => {
  const { model, golden } = fixture('gpt2-optimum-past');
  const { values } = await readFloats(golden, 'logits');
  const { bytes } = await (await openSafetensors(golden)).tensor('input_ids');
  const ids = Array.from(new BigInt64Array(bytes.slice().buffer), Number);
  const expected = ids.slice(1).map((id, before) => {
    const row = values.subarray(before * 160, (before + 1) * 160);
    return Math.log(row.reduce((total, logit) => total + Math.exp(logit), 0)) - at(row, id);
  });
  expect(failure(await collect(engine.analyze(request(model, { ids }, { memory }))))).toBeUndefined();
  const { nats } = await engine.query({ type: 'surprisal' });
  expect(nats[0]).toBeNaN();
  expect(relativeError(nats.subarray(1), Float32Array.from(expected))).toBeLessThan(1e-5);
});

it.each([['bert-optimum-op14', 'predicts no tokens|lets every token see those after it']])(
  'refuses the surprisal of what predicts no next token: %s',
  async (name, why) => {
    const { model, golden } = fixture(name);
    const { bytes } = await (await openSafetensors(golden)).tensor('input_ids');
    const ids = Array.from(new BigInt64Array(bytes.slice().buffer), Number);
    expect(failure(await collect(engine.analyze(request(model, { ids }))))).toBeUndefined();
    await expect(engine.query({ type: 'surprisal' })).rejects.toMatchObject({
      code: 'input',
      message: expect.stringMatching(why),
    });
  },
);

it('cannot be asked for predictions of what predicts none', async () => {
  const { model, golden } = fixture('vit-ort-fused');
  const events = await collect(engine.analyze(request(model, { feeds: golden })));
  expect(only(events, 'tokens')[0]).toMatchObject({ source: 'features', tokenizer: false, total: 17 });
  expect(only(events, 'predictions')).toEqual([]);
  await expect(engine.query({ type: 'predictions', token: 0 })).rejects.toThrow('does not predict tokens');
});

it('inspects as plain data', async () => {
  const { model, anatomy } = await engine.inspect(fixture('llama-genai-fp32').model);
  expect(model).toMatchObject({ layers: 3, hidden: 64, heads: 4, kvHeads: 2, attention: true });
  expect(JSON.parse(JSON.stringify(at(anatomy.blocks, 0).attention?.pattern))).toMatchObject({
    from: 'rebuilt',
    operator: 'com.microsoft.GroupQueryAttention',
  });
});
