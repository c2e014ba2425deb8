/** Activation levels of parameters, held against PyTorch's autograd. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { sharesOf } from '../../../src/experiments/activation/prune.js';
import golden from '../../references/activation.json' with { type: 'json' };
import { startEngine } from '../../support/engine.js';
import { root } from '../../support/files.js';
import { at } from '../../support/lists.js';

const engine = startEngine();
const budget = { memory: 2 ** 31, threads: 1, thresholds: [1e-6, 1e-5, 1e-4] };

it('levels, shares and similarities are those of autograd', async () => {
  const { sequences, others: against } = golden;
  const layers: number[] = [];
  const model = join(root, 'media/models/llama/model.onnx');
  for await (const event of engine.run('activation', { ...budget, model, sequences, against })) {
    if (event.type === 'failed') expect.fail(event.problem.message);
    if (event.type !== 'activation') continue;
    const i = event.layer - 1;
    layers.push(event.layer);
    expect(event.parameters).toBe(at(golden.parameters, i));
    expect(event.mean / at(golden.mean, i)).toBeCloseTo(1, 4);
    expect(event.similarity).toBeCloseTo(at(golden.similarity, i), 4);
    expect(event.within).toBeCloseTo(at(golden.within, i), 4);
    expect(event.between).toBeCloseTo(at(golden.between, i), 4);
    // A level that is at the threshold may fall on either side of it.
    for (const [j, share] of at(golden.above, i).entries()) expect(at(event.above, j)).toBeCloseTo(share, 4);
  }
  expect(layers).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
});

it('losses of pruned blocks are those of PyTorch', async () => {
  const { pruned, sequences: own } = golden;
  const model = join(root, 'media/models/llama/model.onnx');
  const sequences = own.map((ids) => ({ ids, from: 1, variants: [{ name: '', interventions: [] }] }));
  const loss = async (prune: number[] | undefined) => {
    const losses: number[] = [];
    for await (const event of engine.run('measure', { ...budget, model, sequences, ...(prune && { prune }) })) {
      if (event.type === 'failed') expect.fail(event.problem.message);
      if (event.type === 'measured') losses.push(...event.losses);
    }
    return losses.reduce((sum, one) => sum + one, 0) / losses.length;
  };
  const parameters = golden.parameters.map((count, i) => ({
    layer: i + 1,
    parameters: count,
    sparsity: 1 - at(at(golden.above, i), 1),
  }));
  const shares = [...sharesOf(parameters, pruned.share)];
  for (const [i, share] of shares.entries()) expect(share).toBeCloseTo(at(pruned.shares, i), 5);
  expect(await loss(undefined)).toBeCloseTo(pruned.asIs, 4);
  expect(await loss(shares.map(() => pruned.share))).toBeCloseTo(pruned.uniform, 4);
  expect(await loss(shares)).toBeCloseTo(pruned.bySparsity, 4);
  expect(() => sharesOf(parameters, 0.5)).toThrow(/block 8 would lose all .* prune at most 0\.38/);
});

it('a model without a head has no largest logit', async () => {
  const model = join(root, 'test/zoo/fixtures/vit-ort-fused/model.onnx');
  const run = engine.run('activation', { ...budget, model, sequences: [[1, 2]] });
  let said = '';
  for await (const event of run) if (event.type === 'failed') said = event.problem.message;
  expect(said).toMatch(/predicts no tokens/);
});
