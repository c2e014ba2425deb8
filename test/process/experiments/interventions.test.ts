import { cp, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { emptyAnalysis, fold } from '../../../src/analysis/analysis.js';
import type { Intervention } from '../../../src/engine/contract/interventions.js';
import {
  type InterventionsResult,
  interveneOnMassive,
  interventionsConclusion,
} from '../../../src/experiments/interventions/compute.js';
import { overlap } from '../../../src/experiments/shared/caveats.js';
import { follow, textWindows } from '../../../src/experiments/shared/text.js';
import { score } from '../../../src/experiments/shared/variants.js';
import { findWeights } from '../../../src/experiments/weights/compute.js';
import {
  boats,
  budget,
  demoModel,
  finish,
  fixtureModel,
  last,
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

const request = (model: string, largest?: number) => ({
  ...budget,
  model: demoModel(model),
  text: text(boats),
  calibrationText: text(pendulum),
  window: 256,
  tokens: 2048,
  thresholds,
  seed: 0,
  largest,
});

const values = ({ rows }: InterventionsResult) => new Map(rows.map(({ name, perplexity }) => [name, perplexity]));

describe.each(references.interventions)('interventions on $model, points $points, equal PyTorch', (reference) => {
  let result: InterventionsResult;
  beforeAll(async () => {
    // Its one massive entry is found by definition; the others are asked for by number.
    const byDefinition = reference.model === 'llama' && reference.points.length === 1;
    result = await finish(
      interveneOnMassive(engine, request(reference.model, byDefinition ? undefined : reference.points.length)),
    );
  });

  it('in where they are made', () => {
    const { layer, points, median, massive } = result.calibration;
    expect(layer).toBe(reference.layer);
    expect(points.map(({ token, dim }) => [token, dim])).toEqual(reference.points);
    expect(median.map(({ token, dim }) => [token, dim])).toEqual(reference.medianPoints);
    expect(massive).toBe(reference.model === 'llama' && reference.points.length === 1);
    for (const [{ mean }, expected] of pairs(points, reference.means)) expect(off(mean, expected)).toBeLessThan(1e-4);
  });

  it('in what they do', () => {
    const measured = values(result);
    expect([...measured.keys()]).toEqual(reference.rows.map(({ name }) => name));
    for (const { name, perplexity } of reference.rows) {
      // Other entries are drawn here than there, and as little depends on them.
      const tolerance = name === 'random' ? 1e-3 : 1e-5;
      expect(off(measured.get(name) ?? 0, perplexity), name).toBeLessThan(tolerance);
    }
  });

  it('and the random entries of the reference do what they do there', async () => {
    const windows = await textWindows(engine, demoModel(reference.model), text(boats), { window: 256, tokens: 2048 });
    const changes = reference.randomPoints.map(
      (point): Intervention => ({
        point: 'resid_post',
        block: reference.layer,
        tokens: [at(point, 0)],
        dims: [at(point, 1)],
        set: { to: 'zero' },
      }),
    );
    const rows = await finish(
      score(
        engine,
        { ...budget, model: demoModel(reference.model) },
        windows,
        () => [{ name: 'random', interventions: changes }],
        [],
      ),
    );
    const expected = found(reference.rows, ({ name }) => name === 'random');
    expect(off(at(rows, 0).perplexity, expected.perplexity)).toBeLessThan(1e-5);
  });
});

it('says in words what was found, and that an effect does not appear', async () => {
  const row = (name: string, perplexity: number) => ({ name, perplexity, tokens: 1, interval: [1, 1] as const });
  const calibration = {
    layer: 2,
    layers: 8,
    points: [{ token: 0, dim: 239, mean: 2083 }],
    massive: true,
    random: [],
    median: [],
    sequences: 8,
    window: 256,
  };
  const result = (zero: number, mean: number, more: Partial<InterventionsResult> = {}): InterventionsResult => ({
    model: '',
    windows: { sequences: [], asked: undefined, left: 0, stride: 1, prefix: 0, window: 2, lost: 0 },
    calibration,
    largest: undefined,
    prefixLeftOut: false,
    thresholds,
    seed: 0,
    warnings: [],
    rows: [row('as is', 10), row('zero', zero), row('mean', mean), row('random', 9.99)],
    ...more,
  });
  expect(interventionsConclusion(result(25, 10.001))).toBe(
    'Setting one entry of h_2 to zero multiplies perplexity by 2.50, to the mean changes it by 0.01 %, as many random entries by −0.10 %: the model needs these values, but not their variation: they are a constant bias.',
  );
  expect(interventionsConclusion(result(10.2, 10))).toMatch(
    /changes perplexity by 2\.00 % only: the effect .* does not appear/,
  );
  expect(interventionsConclusion(result(25, 20))).toMatch(/the mean does not stand in/);
  const nothing = { ...calibration, massive: false };
  expect(interventionsConclusion(result(12, 10, { calibration: nothing }))).toMatch(
    /^Nothing is massive by definition here, so the largest entry was taken, which is not massive\. Setting the largest entry of h_2 to zero multiplies perplexity by 1\.20/,
  );
  const two = { ...nothing, points: [...calibration.points, { token: 0, dim: 87, mean: 311 }] };
  expect(interventionsConclusion(result(12, 10, { calibration: two, largest: 2 }))).toMatch(
    /^Setting the 2 largest entries of h_2/,
  );
  expect(interventionsConclusion(result(10.1, 10, { calibration: nothing, prefixLeftOut: true }))).toMatch(
    /^The model’s prefix token was left out, .*: the effect of the paper does not appear in this model without its prefix token\.$/,
  );
});

it('warns when calibration is on the measured text, and when nothing is massive', async () => {
  const small = { ...request('llama-bias'), tokens: 300 };
  const { warnings, calibration } = await finish(interveneOnMassive(engine, { ...small, calibrationText: small.text }));
  expect(warnings).toEqual([
    expect.stringMatching(/calibration text is part of the measured one/),
    expect.stringMatching(/No entry is massive by definition .* the largest entry at layer \d/),
  ]);
  expect(calibration.massive).toBe(false);
});

it('knows a text again whatever its lines end with', () => {
  const one = 'The lamp was lit.\nThe door was shut.\n';
  expect(overlap(one, one.replaceAll('\n', '\r\n'))).toBe(true);
  expect(overlap(one, 'The door was shut.\r\n')).toBe(true);
  expect(overlap('The lamp was lit.', one)).toBe(true);
  expect(overlap(one, 'The door was open.')).toBe(false);
});

it.each([
  ['llama', false, true],
  ['llama', undefined, false],
  ['llama-plain', false, false],
])('knows that the prefix token was left out: %s, bos %s: %s', async (model, bos, leftOut) => {
  const small = { ...request(model), bos, window: 16, tokens: 31, calibrationText: text(pendulum).slice(0, 200) };
  expect((await finish(interveneOnMassive(engine, small))).prefixLeftOut).toBe(leftOut);
});

describe('is refused before anything is calibrated', () => {
  const refusal = async (fixture: string, of: typeof interveneOnMassive | typeof findWeights) => {
    const model = join(await temporaryFolder(), fixture, 'model.onnx');
    await cp(dirname(fixtureModel(fixture)), dirname(model), { recursive: true });
    const words = { type: 'WordLevel', vocab: { one: 0, two: 1 }, unk_token: 'one' };
    const tokenizer = { version: '1.0', added_tokens: [], pre_tokenizer: { type: 'Whitespace' }, model: words };
    await writeFile(join(dirname(model), 'tokenizer.json'), JSON.stringify(tokenizer));
    const texts = { text: 'one two '.repeat(20), calibrationText: 'two one '.repeat(20) };
    return of(engine, { ...request('llama'), ...texts, model, window: 8, k: 1 }).next();
  };

  it('in a model without perplexity', async () => {
    for (const experiment of [interveneOnMassive, findWeights])
      await expect(refusal('bert-optimum-op14', experiment)).rejects.toThrow(/has no perplexity/);
  });

  it.each(['mixtral-dynamo-op18', 'gpt_oss-dynamo-op18'])(
    'in a model without rows to look for: %s',
    async (fixture) => {
      await expect(refusal(fixture, findWeights)).rejects.toThrow(
        /model\.onnx has no massive weights to look for: .* it is a mixture of experts .*; choose another model\.$/,
      );
    },
  );
});

it('finds the first delimiter of every window for itself', async () => {
  const model = demoModel('llama');
  const windows = await textWindows(engine, model, text(boats), { window: 64, tokens: 189 });
  const zero = (tokens: number[]): Intervention => ({
    point: 'resid_post',
    block: 1,
    tokens,
    dims: 'all',
    set: { to: 'zero' },
  });
  const rows = await finish(
    score(
      engine,
      { ...budget, model },
      windows,
      (place) => [{ name: 'zero', interventions: [zero([place('first delimiter') ?? 0])] }],
      ['first delimiter'],
    ),
  );
  // Where they are by the model's own tokens, one window at a time.
  let [sum, count] = [0, 0];
  for (const sequence of windows.sequences) {
    const tokens = await engine.decode(model, sequence.ids);
    const delimiter = tokens.findIndex((token, i) => i > 0 && /^\s*[.,;:!?]\s*$/.test(token));
    expect(delimiter).toBeGreaterThan(0);
    const alone = { ...sequence, variants: [{ name: '', interventions: [zero([delimiter])] }] };
    for await (const event of follow(engine.run('measure', { ...budget, model, sequences: [alone] }))) {
      if (event.type !== 'measured') continue;
      for (const loss of event.losses) sum += loss;
      count += event.losses.length;
    }
  }
  expect(off(at(rows, 0).perplexity, Math.exp(sum / count))).toBeLessThan(1e-9);
});

it('a run with an entry set to zero equals PyTorch in all that follows', async () => {
  const reference = at(references.intervenedRun, 0);
  const change: Intervention = {
    point: 'resid_post',
    block: reference.layer,
    tokens: [at(reference.point, 0)],
    dims: [at(reference.point, 1)],
    set: { to: 'zero' },
  };
  const events = engine.analyze({
    ...budget,
    model: demoModel(reference.model),
    prompt: { text: text('media/sample.md') },
    attention: true,
    interventions: [change],
  });
  let analysis = emptyAnalysis;
  for await (const event of events) analysis = fold(analysis, event);
  expect(analysis.status).toBe('finished');
  const known = pairs(reference.top, reference.median);
  for (const [{ top, median }, [expected, expectedMedian]] of pairs(analysis.layers, known)) {
    const { token, dim, value } = at(top, 0);
    expect([token, dim]).toEqual(expected.slice(1));
    expect(off(Math.abs(value), at(expected, 0))).toBeLessThan(1e-4);
    expect(off(median, expectedMedian)).toBeLessThan(2e-4);
  }
  for (const [statistics, heads] of pairs(analysis.attention, reference.alphaFirst)) {
    for (const [head, alpha] of heads.entries())
      expect(statistics?.alpha[head * statistics.tokens]).toBeCloseTo(alpha, 5);
  }
  for (const [i, { id, probability }] of reference.predictions.entries()) {
    const prediction = at(analysis.predictions?.top, i);
    expect(prediction.id).toBe(id);
    expect(prediction.probability).toBeCloseTo(probability, 4);
  }
});

it('a change that no activation can have is refused by the engine', async () => {
  const entry = { point: 'resid_post', block: 1, tokens: [0], dims: [0] } as const;
  const refusal = (set: Intervention['set']) =>
    last(
      engine.analyze({
        ...budget,
        model: demoModel('llama'),
        prompt: { ids: [0, 1, 2] },
        attention: false,
        interventions: [{ ...entry, set }],
      }),
    );
  const problem = (message: RegExp) => ({ type: 'failed', problem: { message: expect.stringMatching(message) } });
  expect(await refusal({ to: 'value', value: [1, -1e39] })).toMatchObject(
    problem(
      /interventions\.0\.set cannot be made: activations are float32, up to ±3\.4e38, and -1e\+39 is beyond that\.$/,
    ),
  );
  expect(await refusal({ to: 'noise', deviation: -2, seed: 0 })).toMatchObject(problem(/from 0 on, not -2\.$/));
  expect(await refusal({ to: 'scale', by: -3e38 })).toMatchObject({ type: 'finished' });
});
