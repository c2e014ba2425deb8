import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareQuantised, quantisedConclusion } from '../../../src/experiments/compare-quantised/compute.js';
import {
  findOutliers,
  outliersConclusion,
  productOutlierDims,
  residualName,
} from '../../../src/experiments/outliers/compute.js';
import { follow } from '../../../src/experiments/shared/text.js';
import precision from '../../references/precision.json';
import { readFloats } from '../../support/engine.js';
import {
  boats,
  budget,
  demoModel,
  finish,
  fixtureModel,
  last,
  off,
  references,
  startEngine,
  temporaryFolder,
  text,
  thresholds,
} from '../../support/experiments.js';
import { at, found } from '../../support/lists.js';

const folder = await temporaryFolder();
const engine = startEngine();

describe.each(references.outliers)('outliers of $model equal PyTorch', (reference) => {
  it('in outlier features and int8 errors of every residual point', async () => {
    const { model, tokens } = reference;
    const request = { ...budget, model: demoModel(model), text: text(boats), tokens, thresholds };
    const result = await finish(findOutliers(engine, request));
    expect(result.residualDims).toEqual(reference.outlierDims);
    expect(result.outlierDims).toEqual(found(precision.models, (one) => one.model === model).outlierDims[6]);
    const expected = [
      ...reference.int8.map((errors, layer) => ({ ...errors, layer, point: 'resid_post' })),
      ...reference.int8Mid.map((errors, block) => ({ ...errors, layer: block + 1, point: 'resid_mid' })),
    ];
    expect(result.int8).toHaveLength(expected.length);
    expect(result.int8.slice(0, 3).map(residualName)).toEqual(['h_0', 'mid_1', 'h_1']);
    for (const { layer, point, removed, ...errors } of expected) {
      const errorsAt = found(result.int8, (one) => one.layer === layer && one.point === point);
      expect(errorsAt.removed, `${point} ${layer}`).toBe(removed.length);
      // Values on the edge of two steps fall to either side, as their last bit is.
      for (const side of ['with', 'without'] as const)
        for (const axis of ['tensor', 'token', 'channel'] as const)
          expect(off(errorsAt[side][axis], errors[side][axis]), `${point} ${layer} ${side} ${axis}`).toBeLessThan(1e-4);
    }
    expect(outliersConclusion(result)).toMatch(
      reference.model === 'llama-bias'
        ? /no massive activations that quantisation would have to mind/
        : /cost most at (h|mid)_\d/,
    );
  });
});

it.each(precision.models)('outlier features are counted over what products of $model read', async (reference) => {
  const { model, tokens, outlierDims } = reference;
  const products = [];
  // Of 6 there are none: the same count of another magnitude.
  const ids = await firstTokens(demoModel(model), tokens);
  for await (const event of follow(engine.run('precision', { ...budget, model: demoModel(model), ids, outlier: 2 })))
    if (event.type === 'precision') for (const input of event.inputs) products.push(input);
  expect(productOutlierDims(products)).toEqual(outlierDims[2]);
  expect(outlierDims[2]).not.toEqual([]);
});

async function firstTokens(model: string, tokens: number): Promise<number[]> {
  const { ids, prefix } = await engine.encode(model, text(boats), { most: tokens });
  return [...(prefix === undefined ? [] : [prefix]), ...ids].slice(0, tokens);
}

it('an empty text is refused', async () => {
  const request = { ...budget, model: demoModel('llama'), text: '', tokens: 256, thresholds };
  await expect(finish(findOutliers(engine, request))).rejects.toThrow(/text is empty/);
});

it('the difference from a reference is that of the states which both save', async () => {
  const [reference, model] = [fixtureModel('llama-ts-op17-sdpa'), fixtureModel('llama-int8-dynamic')];
  const ids = Array.from({ length: 20 }, (_, i) => (7 * i) % 160);
  const files = [join(folder, '0.safetensors'), join(folder, '1.safetensors')] as const;
  for (const [i, file] of [reference, model].entries()) {
    const save = { file: at(files, i), attention: false, mlp: false, logits: false };
    const end = await last(engine.analyze({ ...budget, model: file, prompt: { ids }, attention: false, save }));
    expect(end.type).toBe('finished');
  }
  const costs = { removed: 100, outlier: 6 };
  const run = engine.run('states', { ...budget, model, reference, sequences: [ids], costs });
  const event = await last(follow(run));
  if (event.type !== 'states') throw new Error('no states');
  for (const [k, { difference }] of event.states.entries()) {
    const [a, b] = [await readFloats(files[0], `hidden.${k}`), await readFloats(files[1], `hidden.${k}`)];
    const norm = (values: Float32Array) => Math.hypot(...values);
    const expected = norm(a.values.map((value, i) => at(b.values, i) - value)) / norm(a.values);
    expect(difference?.all).toBeCloseTo(expected, 5);
    if (k > 0) expect(expected).toBeGreaterThan(1e-4);
  }
  expect(event.states).toHaveLength(4);
});

it('a model against itself differs nowhere, and against a sibling everywhere', async () => {
  const asked = { ...budget, reference: demoModel('llama'), text: text(boats), window: 64, tokens: 130, thresholds };
  const run = compareQuantised(engine, { ...asked, model: asked.reference });
  const shown: (readonly number[])[] = [];
  let step = await run.next();
  for (; !step.done; step = await run.next()) {
    const { partial } = step.value;
    if (!partial) continue;
    shown.push([partial.sqnr.length, partial.swap.length, partial.perplexity.reference.tokens]);
    if (partial.swap.length === 0)
      expect(quantisedConclusion(partial)).toBe(
        `Hidden states are compared up to h_${partial.sqnr.length - 1} of 8; what that costs in predictions is not known yet.`,
      );
  }
  const same = step.value;
  // Block by block of both windows, then window by window.
  expect(shown).toEqual([...Array.from({ length: 9 }, (_, k) => [k + 1, 0, 0]), [9, 10, 63], [9, 10, 126]]);
  expect(same.differences.map(({ all }) => all)).toEqual(new Array(9).fill(0));
  expect(same.perplexity.model).toEqual(same.perplexity.reference);
  expect(same.massive.model).toEqual(same.massive.reference);
  expect(quantisedConclusion(same)).toMatch(/^Perplexity changes by 0\.00 %/);
  const siblings = { ...asked, reference: demoModel('llama-plain'), model: demoModel('llama-bias') };
  const other = await finish(compareQuantised(engine, siblings));
  expect(Math.min(...other.differences.map(({ all }) => all))).toBeGreaterThan(0.5);
  expect(quantisedConclusion(other)).toMatch(
    /^Entries that do not stand out differ by 1\d\d % of their norm at h_\d: the file was probably not made from this model/,
  );
});

it('a file that cannot have been made from the model is refused before anything is run', async () => {
  const asked = { ...budget, reference: demoModel('llama'), text: text(boats), window: 64, tokens: 130, thresholds };
  const refusal = (more: { readonly model: string; readonly bos?: boolean }) =>
    compareQuantised(engine, { ...asked, ...more }).next();
  await expect(refusal({ model: demoModel('llama-plain') })).rejects.toThrow(
    `${demoModel('llama-plain')} cannot be compared with ${demoModel('llama')}: its folder names no prefix token, and the model’s prefix token 0; compare a model with its own quantised file, which has the same tokenizer files.`,
  );
  await expect(refusal({ model: fixtureModel('llama-ts-op17-sdpa') })).rejects.toThrow(
    /: it has 3 blocks, and the model 8;/,
  );
  const gpt2 = { ...asked, reference: fixtureModel('gpt2-ts-op14'), model: fixtureModel('llama-int8-dynamic') };
  await expect(compareQuantised(engine, gpt2).next()).rejects.toThrow(/: its MLPs are 96 wide, and the model’s 128;/);
  await mkdir(join(folder, 'other'));
  const other = join(folder, 'other', 'model.onnx');
  await copyFile(asked.reference, other);
  const vocabulary = { type: 'WordLevel', vocab: { one: 0 }, unk_token: 'one' };
  const tokenizer = { version: '1.0', added_tokens: [], pre_tokenizer: { type: 'Whitespace' }, model: vocabulary };
  await writeFile(join(folder, 'other', 'tokenizer.json'), JSON.stringify(tokenizer));
  await expect(refusal({ model: other, bos: false })).rejects.toThrow(/its tokenizer makes other tokens of this text;/);
  // Without a tokenizer of its own it is taken to have the model's.
  await rm(join(folder, 'other', 'tokenizer.json'));
  const { differences } = await finish(compareQuantised(engine, { ...asked, model: other }));
  expect(differences.map(({ all }) => all)).toEqual(new Array(9).fill(0));
});

it('models of other shapes are refused', async () => {
  const ids = [1, 2, 3];
  const costs = { removed: 100, outlier: 6 };
  const run = engine.run('states', {
    ...budget,
    model: demoModel('llama'),
    reference: fixtureModel('llama-ts-op17-sdpa'),
    sequences: [ids],
    costs,
  });
  await expect(last(follow(run))).rejects.toThrow(/hidden states of different sizes/);
  // As many blocks, and 64 dims against 32.
  const model = fixtureModel('../families/cache-stacked-ts-op17');
  const by = { what: 'file', model } as const;
  const asked = { ...budget, reference: fixtureModel('llama-ts-op17-sdpa'), by, sequences: [{ ids, from: 1 }] };
  await expect(last(follow(engine.run('pair', asked)))).rejects.toThrow(
    `The hidden states of ${model} have 32 dims, and the model’s 64;`,
  );
});
