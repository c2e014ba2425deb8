/** What becomes of a model when single parts of it are changed, against PyTorch. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ablateConclusion, ablateEach } from '../../../src/experiments/ablate/compute.js';
import { cancellingConclusion, findCancelling } from '../../../src/experiments/cancelling/compute.js';
import { gradientsConclusion, takeGradients } from '../../../src/experiments/gradients/compute.js';
import { patchConclusion, patchEverywhere } from '../../../src/experiments/patch/compute.js';
import { steerConclusion, steerPrompt } from '../../../src/experiments/steer/compute.js';
import { writeDirection } from '../../../src/experiments/steer/direction.js';
import references from '../../references/changes.json';
import {
  budget,
  demoModel,
  finish,
  off,
  startEngine,
  temporaryFolder,
  text,
  thresholds,
} from '../../support/experiments.js';
import { pairs } from '../../support/lists.js';

const engine = startEngine();

describe('activation patching', () => {
  const { patching } = references;
  const request = {
    ...budget,
    model: demoModel(patching.model),
    clean: patching.clean,
    corrupt: patching.corrupt,
    answers: patching.answers as [string, string],
  };

  it.each(['resid_post', 'resid_mid', 'attn_out', 'mlp_out', 'head'] as const)('of %s equals PyTorch', async (at) => {
    const result = await finish(patchEverywhere(engine, { ...request, at }));
    expect(result.clean.map(({ id }) => id)).toEqual(patching.ids.clean);
    expect(result.cleanDifference).toBeCloseTo(patching.cleanDifference, 4);
    expect(result.corruptDifference).toBeCloseTo(patching.corruptDifference, 4);
    for (const [row, expected] of pairs(result.recovered, patching.recovered[at]))
      for (const [value, other] of pairs(row, expected)) expect(Math.abs(value - other)).toBeLessThan(1e-4);
    for (const [row, expected] of pairs(result.attribution.values, patching.attribution[at]))
      for (const [value, other] of pairs(row, expected)) expect(Math.abs(value - other)).toBeLessThan(1e-4);
    expect(result.attribution.why).toBeUndefined();
    expect(patchConclusion(result)).toMatch(
      at === 'head' ? /head 0 of block 8 alone gives 81 %/ : /of token \d .* gives most of that back/,
    );
  });

  it.each([
    [
      { corrupt: 'The little king of France went to' },
      /has 7 tokens and the corrupt one 8.*from token 2 on the clean one has nothing where the corrupt one has “·little”/,
    ],
    [{ corrupt: patching.clean }, /are the same tokens/],
    [{ answers: [' hisss', ' the'] as const }, /" hisss" is 2 tokens \(“·his” “ss”\)/],
    [{ answers: [' his', ' his'] as const }, /Both answers are the token " his"/],
  ])('says what is wrong with %o', async (given, message) => {
    await expect(finish(patchEverywhere(engine, { ...request, at: 'head', ...given }))).rejects.toThrow(message);
  });
});

describe('ablation', () => {
  const { ablation } = references;
  const [calibration, characters] = ablation.calibration as [string, number];

  it.each(['zero', 'mean'] as const)('to %s equals PyTorch', async (set) => {
    const result = await finish(
      ablateEach(engine, {
        ...budget,
        bos: undefined,
        part: undefined,
        model: demoModel(ablation.model),
        text: ablation.text,
        set,
        calibrationText: text(calibration).slice(0, characters),
        answers: ablation.answers as [string, string],
      }),
    );
    expect(result.calibrated).toBe(set === 'mean' ? ablation.windows : 0);
    const same = ({ loss, difference }: typeof result.asIs, expected: readonly number[]) => {
      expect(Math.abs(loss - (expected[0] ?? 0))).toBeLessThan(1e-4);
      expect(Math.abs((difference ?? Number.NaN) - (expected[1] ?? 0))).toBeLessThan(5e-4);
    };
    same(result.asIs, ablation.asIs);
    for (const [scores, expected] of pairs(result.heads, ablation[set].heads.flat())) same(scores, expected);
    for (const [scores, expected] of pairs(result.mlps, ablation[set].mlps)) same(scores, expected);
    expect(ablateConclusion(result)).toMatch(/without head \d of block \d .* without the MLP of block 1/);
  });

  it('to means needs a text that is long enough for them', async () => {
    const request = { ...budget, bos: undefined, part: undefined, model: demoModel('llama'), text: ablation.text };
    const run = ablateEach(engine, { ...request, set: 'mean', calibrationText: 'Too short.' });
    await expect(finish(run)).rejects.toThrow(/calibration text/);
  });
});

it('what each part adds to a massive activation, and by which weights, equals PyTorch', async () => {
  const golden = references.cancelling;
  const asked = { model: demoModel(golden.model), prompt: { text: text('media/sample.md') }, ...budget };
  const result = await finish(findCancelling(engine, { ...asked, token: undefined, dim: undefined }));
  expect([result.token, result.dim]).toEqual([golden.token, golden.dim]);
  for (const [value, other] of pairs(result.hidden, golden.hidden)) expect(off(value, other)).toBeLessThan(1e-4);
  for (const part of ['attention', 'mlp'] as const) {
    const own = result.parts.filter((one) => one.part === part);
    for (const [{ added, made }, expected] of pairs(own, golden[part])) {
      // What an MLP adds is a difference of large numbers.
      expect(Math.abs(added - expected)).toBeLessThan(part === 'mlp' ? 2e-3 : 1e-4);
      expect(Math.abs(made?.rest ?? Number.NaN)).toBeLessThan(2e-3);
    }
    for (const [{ made }, expected] of pairs(own, golden.weights[part]))
      for (const [{ column, read, value }, other] of pairs(made?.entries.slice(0, 3) ?? [], expected)) {
        expect(column).toBe(other[0]);
        expect(Math.abs(read - (other[1] ?? 0))).toBeLessThan(1e-3 * Math.max(1, Math.abs(other[1] ?? 0)));
        expect(value).toBeCloseTo(other[2] ?? Number.NaN, 5);
      }
  }
  expect(cancellingConclusion(result)).toMatch(/the MLP of block 2 adds most to it, \+2,024\. Nothing cancels it/);
});

it('what makes a massive activation equals PyTorch: block, weights, the super weight first', async () => {
  const { origin } = references;
  const [layer, token, dim] = origin.of as [number, number, number];
  const asked = { model: demoModel(origin.model), prompt: { text: origin.text }, save: undefined, ...budget };
  const result = await finish(takeGradients(engine, { ...asked, of: { kind: 'hidden', layer, token, dim } }));
  expect(result.path.length).toBe(layer + 1);
  for (const [value, other] of pairs(result.path.slice(1), references.cancelling.hidden.slice(1, layer + 1)))
    expect(Math.abs((value ?? Number.NaN) / other - 1)).toBeLessThan(1e-4);
  const parts: Record<string, string> = {
    'mlp.down.weight': 'mlp_out',
    'mlp.up.weight': 'mlp_in',
    'mlp.gate.weight': 'mlp_in',
  };
  for (const [found, expected] of pairs(result.entries, origin.entries)) {
    const [block, part, row, column, value, product] = expected as [number, string, number, number, number, number];
    expect(found).toMatchObject({ layer: block, part: parts[part], row, column });
    expect(found.value).toBeCloseTo(value, 4);
    expect(Math.abs(found.product / product - 1)).toBeLessThan(1e-3);
  }
  expect(gradientsConclusion(result)).toMatch(
    /Block 2 adds most to it, \+2,023\. .*\(239, 425\) of the MLP’s last product in block 2, −2\.43/,
  );
});

it('the saliency of a prediction equals PyTorch, and of another token’s prediction nothing after it counts', async () => {
  const { saliency } = references;
  const { ids, next, logit } = saliency;
  const request = { model: demoModel('llama'), prompt: { ids }, attention: false, ...budget };
  for await (const event of engine.analyze(request)) if (event.type === 'failed') expect.fail(event.problem.message);
  const token = ids.length - 1;
  const found = await engine.query({ type: 'saliency', token, next });
  expect(found.logit).toBeCloseTo(logit, 3);
  expect(found.next).toEqual({ id: next, text: ' his' });
  const largest = Math.max(...saliency.saliency.map(Math.abs));
  for (const [value, expected] of pairs(Array.from(found.saliency), saliency.saliency))
    expect(Math.abs(value - expected)).toBeLessThan(1e-4 * largest);
  const earlier = await engine.query({ type: 'saliency', token: 2 });
  const { top } = await engine.query({ type: 'predictions', token: 2 });
  expect(earlier.next.id).toBe(top[0]?.id);
  expect(Array.from(earlier.saliency.subarray(3))).toEqual([0, 0, 0, 0]);
  await expect(engine.query({ type: 'saliency', token, next: 1e6 })).rejects.toThrow(/There is no token id 1000000/);
});

describe('steering', () => {
  const { steering } = references;
  const made = temporaryFolder();
  const request = () => ({
    ...budget,
    bos: undefined,
    part: undefined,
    thresholds,
    model: demoModel(steering.model),
    text: steering.text,
    strength: steering.strength as number | undefined,
    save: undefined as string | undefined,
  });
  type Result = Awaited<ReturnType<typeof run>>;
  const run = (given: Parameters<typeof steerPrompt>[1]) => finish(steerPrompt(engine, given));
  const same = (found: Result['before'], expected: typeof steering.asIs) => {
    expect(Math.abs(found.loss - expected.loss)).toBeLessThan(1e-4);
    for (const [one, other] of pairs(found.top.slice(0, 3), expected.top)) {
      expect(one.id).toBe(other[0]);
      expect(Math.abs(one.probability - (other[1] ?? 0))).toBeLessThan(1e-4);
    }
    for (const [one, other] of pairs(found.largest, expected.largest))
      expect(Math.abs(one / other - 1)).toBeLessThan(1e-4);
  };

  it('by prompts, and by the file that is saved of them, equals PyTorch', async () => {
    const folder = await made;
    const [positive, negative] = [steering.positive, steering.negative].map((prompts, i) => {
      const file = join(folder, `${i}.txt`);
      writeFileSync(file, `${prompts.join('\n\n')}\n`);
      return file;
    }) as [string, string];
    const save = join(folder, 'direction.safetensors');
    // No layer means the middle one.
    const added = await run({ ...request(), from: { positive, negative, layer: undefined }, save });
    expect(added.direction.layer).toBe(steering.layer);
    expect(added.prompts).toEqual({ positive: 3, negative: 4 });
    for (const [value, other] of pairs(Array.from(added.direction.values), steering.direction))
      expect(Math.abs(value - other)).toBeLessThan(1e-4);
    same(added.before, steering.asIs);
    same(added.after, steering.added);
    const out = await run({ ...request(), from: { file: save, layer: undefined }, strength: undefined });
    expect(out.direction).toEqual(added.direction);
    same(out.after, steering.projectedOut);
    expect(steerConclusion(out)).toMatch(/projected out of h_4 .* from 43.1 to 43.7.*massive activations .* stay/);
    await writeDirection(save, { layer: 4, values: Float32Array.of(1, 2, 3) });
    await expect(run({ ...request(), from: { file: save, layer: undefined } })).rejects.toThrow(
      /direction has 3 entries and there are 256 dims/,
    );
  });
});
