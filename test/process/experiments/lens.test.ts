import { describe, expect, it } from 'vitest';
import { decidedAt, lensConclusion, lookThrough } from '../../../src/experiments/lens/compute.js';
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
} from '../../support/experiments.js';
import { at, found, pairs } from '../../support/lists.js';

const engine = startEngine();

const of = (model: string, more: { mid?: boolean; token?: number; target?: number | string } = {}) =>
  finish(
    lookThrough(engine, {
      ...budget,
      model: demoModel(model),
      prompt: { text: text('media/sample.md') },
      top: 3,
      ...more,
    }),
  );

describe('logit lens and attribution equal PyTorch', () => {
  it.each(references.lens.map((reference) => [reference.model, reference] as const))('%s', async (model, reference) => {
    const { points, attribution } = await of(model);
    expect(points).toHaveLength(9);
    for (const { layer, token, top } of reference.lens) {
      for (const [{ id, probability }, expected] of pairs(at(at(points, layer).rows, token), top)) {
        expect(id).toBe(at(expected, 0));
        expect(Math.abs(probability - at(expected, 1))).toBeLessThan(1e-5);
        expect(off(probability, at(expected, 1))).toBeLessThan(1e-4);
      }
    }
    if (typeof attribution === 'string') throw new Error(attribution);
    const { target, logit, token, parts } = reference.attribution;
    expect([attribution.token, attribution.target.id]).toEqual([token, target]);
    expect(attribution.logit).toBeCloseTo(logit, 4);
    const wanted = new Map(Object.entries(parts));
    for (const { part, block = 0, logit: own } of attribution.parts) {
      const name = part === 'embedding' ? part : `${part} ${block - 1}`;
      expect(own, name).toBeCloseTo(wanted.get(name) ?? Number.NaN, 4);
      wanted.delete(name);
    }
    expect([...wanted.keys()]).toEqual([]);
  });

  it('takes the text of a token for its id', async () => {
    const { attribution } = await of('llama', { token: 11, target: ' the' });
    if (typeof attribution === 'string') throw new Error(attribution);
    expect(attribution.target.text).toBe(' the');
    expect(attribution.target.id).toBe((await engine.encode(demoModel('llama'), ' the')).ids[0]);
  });

  it('has a point between attention and MLP where it is asked for', async () => {
    const { points } = await of('llama', { mid: true });
    expect(points).toHaveLength(17);
    expect(points.slice(0, 3).map(({ layer, point }) => `${layer} ${point}`)).toEqual([
      '0 resid_post',
      '1 resid_mid',
      '1 resid_post',
    ]);
    expect(at(points, 1).rows[11]).not.toEqual(at(at(points, 0).rows, 11));
  });

  it('splits the logit of any token after any other', async () => {
    const { attribution } = await of('llama', { token: 11, target: 200 });
    if (typeof attribution === 'string') throw new Error(attribution);
    expect([attribution.token, attribution.target.id]).toEqual([11, 200]);
    const sum = attribution.parts.reduce((total, { logit }) => total + logit, 0);
    expect(sum).toBeCloseTo(attribution.logit, 3);
  });
});

describe('attribution follows the model’s own head', () => {
  // Biases in norm and head (GPT-2, Phi), a soft cap (Gemma 2), block-quantised weights, one length only, parallel blocks.
  it.each([
    ['gpt2-dynamo-op18', ['bias']],
    ['gpt2-ort-fused-past', ['bias']],
    ['phi-optimum-past', ['bias']],
    ['gemma2-genai-fp32', ['rest']],
    ['llama-tfjs-q4', []],
    ['qwen2-ts-op17-static', []],
    ['falcon-dynamo-op18', ['bias']],
  ])('%s', async (name, extra) => {
    const model = fixtureModel(name);
    const feeds = model.replace('model.onnx', 'golden.safetensors');
    const { predictions } = await analyzePrompt(engine, { ...budget, model, prompt: { feeds } });
    const token = predictions?.token ?? 0;
    const { logit, parts, target } = await engine.query({ type: 'attribution', token });
    expect(target.id).toBe(at(predictions?.top, 0).id);
    expect(
      off(
        parts.reduce((sum, part) => sum + part.logit, 0),
        logit,
      ),
    ).toBeLessThan(2e-3);
    expect(parts.map(({ part }) => part).filter((part) => part === 'bias' || part === 'rest')).toEqual(extra);
    expect(parts.filter(({ part }) => part === 'attention').length).toBeGreaterThan(1);
    expect(parts.some(({ part }) => part === 'block')).toBe(false);
  });

  it('says why a head that is more than a norm cannot be split', async () => {
    const model = fixtureModel('bert-optimum-op14');
    const feeds = model.replace('model.onnx', 'golden.safetensors');
    const { attribution, points } = await finish(lookThrough(engine, { ...budget, model, prompt: { feeds }, top: 1 }));
    expect(attribution).toMatch(/more than a LayerNorm or an RMSNorm/);
    expect(points.length).toBeGreaterThan(1);
  });
});

describe('in words', () => {
  it('says when predictions are decided and what made the last', async () => {
    const result = await of('llama');
    const decided = decidedAt(result);
    expect(decided).toHaveLength(105);
    // From the reference: after token 104 the lens says 14 from layer 6 on, not at layer 5.
    const rows = at(references.lens, 0).lens;
    const said = (layer: number) => at(found(rows, (row) => row.layer === layer && row.token === 104).top, 0, 0);
    expect([5, 6, 7, 8].map((layer) => said(layer) === said(8))).toEqual([false, true, true, true]);
    expect(decided[104]).toBe(6);
    expect(lensConclusion(result)).toMatch(
      /^Half of the 105 tokens.*MLP of block 7 adds most to the logit of "-": 2\.37 of 11\.69\.$/,
    );
  });
});

describe('what does not fit', () => {
  it('a model without a head', async () => {
    const model = fixtureModel('dinov2_with_registers-dynamo-op18');
    const feeds = model.replace('model.onnx', 'golden.safetensors');
    await expect(finish(lookThrough(engine, { ...budget, model, prompt: { feeds }, top: 3 }))).rejects.toThrow(
      /predicts no tokens/,
    );
  });

  it('a target of several tokens, or of none', async () => {
    await expect(of('llama', { target: ' the cat' })).rejects.toThrow(
      /^" the cat" is \d tokens of this model, not one/,
    );
    await expect(of('llama', { target: '' })).rejects.toThrow(/^"" is 0 tokens of this model, not one/);
  });

  it('tokens and targets beyond the end', async () => {
    await expect(of('llama', { token: 105 })).rejects.toThrow(/There is no token 105: it must be from 0 to 104\./);
    await expect(of('llama', { target: 8192 })).rejects.toThrow(/There is no token id 8192: the model has 8,192\./);
  });

  it('an empty text for a model without a prefix', async () => {
    const request = { ...budget, model: demoModel('llama-plain'), prompt: { text: '' }, top: 3 };
    await expect(finish(lookThrough(engine, request))).rejects.toThrow(/no text to analyze/);
  });
});
