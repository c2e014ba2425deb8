import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { follow, textWindows } from '../../../src/experiments/shared/text.js';
import { score } from '../../../src/experiments/shared/variants.js';
import { findWeights, type WeightsResult, weightsConclusion } from '../../../src/experiments/weights/compute.js';
import { collect, failure, readFloats } from '../../support/engine.js';
import {
  boats,
  budget,
  demoModel,
  finish,
  fixtureModel,
  off,
  pendulum,
  references,
  startEngine,
  temporaryFolder,
  text,
  thresholds,
} from '../../support/experiments.js';
import { at, found, pairs } from '../../support/lists.js';

const engine = startEngine();
const folder = await temporaryFolder();

const request = (model: string, k = 5) => ({
  ...budget,
  model: demoModel(model),
  text: text(boats),
  calibrationText: text(pendulum),
  window: 256,
  tokens: 2048,
  thresholds,
  seed: 0,
  k,
});

describe.each(references.massiveWeights)('massive weights of $model equal PyTorch', (reference) => {
  let result: WeightsResult;
  beforeAll(async () => {
    result = await finish(findWeights(engine, request(reference.model)));
  });

  it('in which they are', () => {
    expect(result.block).toBe(reference.block + 1);
    expect(result.token).toBe(reference.token);
    expect(result.dims).toEqual(reference.dims);
    for (const [value, expected] of pairs(result.values, reference.values))
      expect(off(value, expected)).toBeLessThan(1e-4);
  });

  it('in what they do', async () => {
    const expected = new Map(reference.rows.map(({ name, perplexity }) => [name, perplexity]));
    expect(result.rows.map(({ name }) => name)).toEqual([...expected.keys()]);
    for (const { name, perplexity } of result.rows) {
      // Other dims are drawn here than there.
      const tolerance = name.endsWith('random') ? 0.02 : 1e-5;
      expect(off(perplexity, expected.get(name) ?? 0), name).toBeLessThan(tolerance);
    }
    expect(result.randomDims.filter((dim) => result.dims.includes(dim))).toEqual([]);
    expect(new Set(result.randomDims).size).toBe(5);
  });

  it('and in the scalars that make the largest entries, one after another', () => {
    const { superWeights } = reference;
    for (const [actual, expected] of pairs(result.superWeights.found, superWeights.found)) {
      const { block, row, column, token } = actual;
      expect([block - 1, row, column, token]).toEqual([expected.block, expected.row, expected.column, expected.token]);
      expect(actual.value).toBeCloseTo(expected.value, 4);
      expect(actual.share).toBeCloseTo(expected.share, 3);
      expect(off(actual.ratio, expected.ratio)).toBeLessThan(1e-3);
      expect(off(actual.without.perplexity, expected.perplexity)).toBeLessThan(1e-5);
      expect(actual.stored).toBe(`blocks.${expected.block}.mlp.down.weight`);
    }
    expect(off(result.superWeights.together?.perplexity ?? 0, superWeights.together)).toBeLessThan(1e-4);
    expect(weightsConclusion(result)).toMatch(
      /One scalar \(and 5 more\), .* of the last weight of block \d .* without it perplexity is/,
    );
  });

  it('and the random dims of the reference do what they do there', async () => {
    const model = demoModel(reference.model);
    const windows = await textWindows(engine, model, text(boats), { window: 256, tokens: 2048 });
    const at = { point: 'mlp', block: reference.block + 1, tokens: 'all', set: { to: 'zero' } } as const;
    const variants = [
      { name: 'zero random', interventions: [{ ...at, dims: reference.randomDims }] },
      { name: 'keep only random', interventions: [{ ...at, dims: { except: reference.randomDims } }] },
    ];
    const rows = await finish(score(engine, { ...budget, model }, windows, () => variants, []));
    expect(rows).toHaveLength(variants.length);
    for (const row of rows) {
      const expected = found(reference.rows, ({ name }) => name === row.name);
      expect(off(row.perplexity, expected.perplexity), row.name).toBeLessThan(1e-5);
    }
  });
});

it('refuses more dims than half of the MLP', async () => {
  const small = { ...request('llama', 400), tokens: 300 };
  await expect(finish(findWeights(engine, small))).rejects.toThrow(
    /MLP of block 2 has 704 intermediate dims; choose a k of at most 352/,
  );
});

it('says that few rows carry the MLP where they do, and where they do not', () => {
  const said = (massive: boolean, zero: number, keep: number, keepRandom: number, prefixLeftOut = false) =>
    weightsConclusion({
      model: '',
      windows: { sequences: [], asked: undefined, left: 0, stride: 1, prefix: 0, window: 2, lost: 0 },
      calibration: {
        layer: 2,
        layers: 8,
        points: [{ token: 0, dim: 239, mean: 2083 }],
        massive,
        random: [],
        median: [],
        sequences: 8,
        window: 256,
      },
      prefixLeftOut,
      block: 2,
      token: 0,
      dims: [1],
      values: [1],
      randomDims: [2],
      thresholds,
      seed: 0,
      rows: Object.entries({
        'as is': 10,
        'zero massive': zero,
        'keep only massive': keep,
        'zero random': 10,
        'keep only random': keepRandom,
      }).map(([name, perplexity]) => ({ name, perplexity, tokens: 1, interval: [1, 1] as const })),
      superWeights: { found: [], together: undefined, unseen: 0, cut: false },
      warnings: [],
    });
  // The demo models' own figures, by PyTorch: llama, llama-sink, llama-bias.
  expect(said(true, 34.9, 15.2, 37.7)).toMatch(/^Zeroing .* by 3\.49, .* by 1\.52; .* mostly in these few rows\.$/);
  expect(said(false, 10.5, 11.8, 12.4)).toMatch(
    /^Nothing is massive by definition here, .*: the model hardly needs them; the effect of the paper does not appear in this model\.$/,
  );
  expect(said(false, 13.1, 2090, 2490)).toMatch(/needs these rows, but not them alone; the effect .* does not appear/);
  // Near itself, but no nearer than with random rows; and nearer than these, but far from itself.
  expect(said(true, 30, 12, 12.5)).toMatch(/does not appear/);
  expect(said(true, 30, 90, 9000)).toMatch(/does not appear/);
  expect(said(true, 10.1, 11, 40, true)).toMatch(
    /^The model’s prefix token was left out.* without its prefix token\.$/,
  );
});

describe('a scalar of a weight is taken out of what its product gives', () => {
  it.each([
    'llama-ts-op17-sdpa',
    // Gemm with a bias.
    'gpt2-ts-op14',
    'llama-optimum-past-fp16',
    'llama-genai-int4',
    'llama-qdq-weights',
  ])('%s', async (name) => {
    const request = { ...budget, model: fixtureModel(name), ids: [5, 6, 7, 8, 9, 10, 11, 12] };
    const first = async (without: readonly { block: number; row: number; column: number }[]) => {
      const events = [];
      for await (const event of follow(engine.run('spikes', { ...request, without })))
        if (event.type === 'spikes') events.push(event);
      expect(events).toHaveLength(3);
      return at(events, 0);
    };
    const before = await first([]);
    const { input, output, weight } = before;
    const after = await first([{ block: 1, row: output.dim, column: input.dim }]);
    expect(after.input).toEqual(input);
    // Of its row and token it is what is left, and else something larger.
    const left = input.token === output.token ? output.value - weight * input.value : undefined;
    const isSame = after.output.dim === output.dim && after.output.token === output.token;
    expect(Math.abs(weight * input.value)).toBeGreaterThan(0);
    // What is between the two is read off the changed model: nothing is.
    if (after.output.dim === output.dim) expect(Math.abs(after.weight / weight)).toBeLessThan(1e-3);
    if (isSame && left !== undefined) expect(off(after.output.value, left)).toBeLessThan(1e-2);
    if (!isSame && left !== undefined)
      expect(Math.abs(after.output.value)).toBeGreaterThanOrEqual(Math.abs(left) * 0.99);
    expect(after.output).not.toEqual(output);
  });

  it('where there is such a scalar', async () => {
    const request = { ...budget, model: demoModel('llama'), ids: [0, 5, 6] };
    await expect(async () => {
      for await (const _ of follow(engine.run('spikes', { ...request, without: [{ block: 2, row: 256, column: 0 }] })));
    }).rejects.toThrow(/no scalar \(256, 0\) in the last weight of the MLP of block 2/);
  });
});

it('means of a place are those of the single runs', async () => {
  const model = demoModel('llama');
  const windows = await textWindows(engine, model, text(boats), { window: 32, tokens: 93 });
  const sequences = windows.sequences.map(({ ids }) => ids);
  const places = [{ point: 'attn_out', block: 3 } as const];
  const [mean] = await all(follow(engine.run('states', { ...budget, model, sequences, places, mean: { rows: [5] } })));
  // What attention adds is what the residual has after it, less what it had before.
  const added: number[][] = [];
  for (const [i, ids] of sequences.entries()) {
    const save = { file: join(folder, `${i}.safetensors`), attention: false, mlp: false, logits: false };
    const events = await collect(engine.analyze({ ...budget, model, prompt: { ids }, attention: false, save }));
    expect(failure(events)).toBeUndefined();
    const [before, after] = [await readFloats(save.file, 'hidden.2'), await readFloats(save.file, 'resid_mid.2')];
    const token = ({ values }: { readonly values: Float32Array }) => [...values.subarray(5 * 256, 6 * 256)];
    added.push(token(after).map((value, dim) => value - at(token(before), dim)));
  }
  const values = at(mean?.rows, 0);
  expect(values.length).toBe(256);
  for (const [dim, value] of values.entries()) {
    const expected = added.reduce((sum, row) => sum + at(row, dim), 0) / added.length;
    expect(Math.abs(value - expected)).toBeLessThan(1e-4);
  }
});

async function all<E extends { type: string }>(events: AsyncIterable<E>) {
  const means: Extract<E, { type: 'mean' }>[] = [];
  for await (const event of events) if (event.type === 'mean') means.push(event as Extract<E, { type: 'mean' }>);
  return means;
}
