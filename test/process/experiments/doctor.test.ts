/** What quantising costs and what excluding gives, without a file: held against the files that ONNX Runtime makes. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import { comparePair } from '../../../src/engine/jobs/pair.js';
import { restoreProducts } from '../../../src/engine/jobs/restore.js';
import { loadModel } from '../../../src/engine/stages/loaded.js';
import { StageRunner } from '../../../src/engine/stages/runner.js';
import { saturates } from '../../../src/engine/stages/saturation.js';
import { createSession } from '../../../src/engine/stages/session.js';
import { simulate } from '../../../src/engine/stages/simulated.js';
import { type DoctorResult, diagnose } from '../../../src/experiments/doctor/compute.js';
import { doctorConclusion } from '../../../src/experiments/doctor/conclusion.js';
import { presentDoctor } from '../../../src/experiments/doctor/present.js';
import { follow } from '../../../src/experiments/shared/text.js';
import { dynamic, type Scheme, schemes } from '../../../src/onnx/quantise.js';
import references from '../../references/quantised.json';
import made from '../../references/schemes.json';
import { readFloats } from '../../support/engine.js';
import {
  boats,
  budget,
  demoModel,
  finish,
  fixtureModel,
  last,
  off,
  path,
  pendulum,
  startEngine,
  temporaryFolder,
  text,
  thresholds,
} from '../../support/experiments.js';
import { at, found, pairs } from '../../support/lists.js';

const engine = startEngine();
const saturating = await saturates();
const llama = demoModel('llama');
const [window, tokens] = [256, 510];

async function sequencesOf() {
  const { ids, prefix } = await engine.encode(llama, text(boats), { most: tokens });
  const piece = window - 1;
  return [0, 1].map((i) => ({ ids: [prefix ?? 0, ...ids.subarray(i * piece, (i + 1) * piece)], from: 1 }));
}

/** Mean KLD with nothing restored, and by variant with the products of these nodes as they were. */
async function kldsOf(
  rewrite: Scheme,
  variants: readonly (readonly string[])[],
  model = llama,
  given?: readonly { readonly ids: readonly number[]; readonly from: number }[],
): Promise<number[]> {
  const sequences = given?.map(({ ids, from }) => ({ ids: [...ids], from })) ?? (await sequencesOf());
  const loaded = loadModel(model);
  const runners = {
    reference: new StageRunner(loaded, 1),
    model: new StageRunner(simulate(loaded, rewrite), 1),
  };
  const asked = { ...budget, reference: model, by: { what: 'scheme', scheme: 'int8-dynamic' }, sequences } as const;
  const klds: number[] = [];
  await comparePair(runners, { ...asked, parts: false }, async (event) => {
    if (event.type === 'paired') for (const value of event.kld) klds.push(value);
  });
  const nodes: string[] = [];
  await restoreProducts(runners, { ...asked, variants: [] }, async (event) => {
    if (event.type === 'products') for (const { node } of event.products) nodes.push(node);
  });
  const sums = variants.map(() => 0);
  const indices = variants.map((names) => names.map((name) => nodes.indexOf(name)));
  if (variants.length > 0)
    await restoreProducts(runners, { ...asked, variants: indices }, async (event) => {
      if (event.type === 'restored') for (const [i, kld] of event.kld.entries()) sums[i] = (sums[i] ?? 0) + kld;
    });
  const mean = klds.reduce((sum, value) => sum + value, 0) / klds.length;
  return [mean, ...sums.map((sum) => sum / klds.length)];
}

/** With `reduceRange` weights have 7 bits, with which no processor's sums saturate. */
const simulated: readonly (readonly [scheme: string, reduceRange: boolean, rewrite: Scheme])[] = [
  ['int8-dynamic', false, schemes['int8-dynamic']],
  ['int8-dynamic', true, dynamic(false, 64)],
  ['int8-channel', true, dynamic(true, 64)],
  ['int4-block32', false, schemes['int4-block32']],
  ['int4-block128', false, schemes['int4-block128']],
];

describe.each(simulated)('%s (reduced range: %s)', (scheme, reduceRange, rewrite) => {
  it('gives what the file gives that ONNX Runtime makes, also with nodes excluded', async ({ skip }) => {
    skip(saturating && scheme.startsWith('int8') && !reduceRange, 'sums of products of bytes saturate here');
    const rows = references.excluded.filter((row) => row.scheme === scheme && row.reduceRange === reduceRange);
    expect(at(rows, 0).exclude).toEqual([]);
    const lists = rows.slice(1).map(({ exclude }) => exclude);
    const klds = await kldsOf(rewrite, lists);
    for (const [i, [kld, row]] of pairs(klds, rows).entries())
      expect(off(kld, row.kld), `${row.exclude.length} excluded`).toBeLessThan(i === 0 ? 0.02 : 0.05);
    // The end of the story: what the doctor says to exclude leaves less than a quarter.
    for (const kld of klds.slice(1)) expect(kld).toBeLessThan(at(klds, 0) / 4);
  });
});

describe.each(['gpt2-ts-op14', 'opt-optimum-past'])('%s', (model) => {
  it.each([false, true])('gives what the file gives whose Gemm became MatMul (per channel: %s)', async (perChannel) => {
    const rows = made.turned.filter((row) => row.model === model && row.perChannel === perChannel);
    const sequences = made.gemm.sequences.map((ids) => ({ ids, from: 1 }));
    // A table that is turned in the file is no constant to a quantiser.
    const passed = model === 'opt-optimum-past' ? ['/lm_head/MatMul'] : [];
    const lists = rows.map(({ exclude }) => [...passed, ...exclude]);
    const asked = lists.filter((list) => list.length > 0);
    const [whole, ...without] = await kldsOf(dynamic(perChannel, 64), asked, fixtureModel(model), sequences);
    const klds = passed.length > 0 ? without : [whole, ...without];
    for (const [kld, row] of pairs(klds, rows))
      expect(off(kld ?? 0, row.kld), `${row.exclude.length} excluded`).toBeLessThan(0.02);
  });
});

it('the product in which massive activations begin is found, and it alone is to be excluded', async () => {
  const asked = { ...budget, thresholds: defaultThresholds, text: text(boats), window: 64, tokens: 63 };
  const result = await finish(
    diagnose(engine, { ...asked, model: llama, by: { what: 'scheme', scheme: 'int8-dynamic' } }),
  );
  expect(at(result.blocks, 0).block).toBe(2);
  expect(at(result.products, 0)).toMatchObject({ block: 2, part: 'mlp_out', node: '/blocks.1/mlp/down/MatMul' });
  expect(result.chosen.products.map(({ node }) => node)).toEqual(['/blocks.1/mlp/down/MatMul']);
  // Its weights are halves behind casts.
  expect(result.computed).toBe(result.of);
  // It was measured, and those that cannot matter were estimated alone.
  expect(at(result.curve, 1).kld).toBe(at(result.products, 0).restored);
  expect(at(result.products, 0).measured).toBe(true);
  expect(result.products.filter(({ measured }) => measured)).toHaveLength(4);
  expect(result.ranked).toBe(result.perplexity.reference.tokens);
  expect(result.chosen.kld).toBeLessThanOrEqual(result.kld.mean / 4);
  // The list is measured once more, as a file computes.
  expect(result.chosen.kld).toBe(at(result.remedies, 0).kld);
  expect(off(result.chosen.kld, at(result.curve, 1).kld)).toBeLessThan(0.02);
  expect(result.of).toBe(57);
  expect(doctorConclusion(result)).toMatch(
    /Most is lost in block 2 .* Excluding one product of 57 \(\/blocks\.1\/mlp\/down\/MatMul\) brings that to/,
  );
});

it('what it yields on the way says what is not done yet, and remedies are measured beside the list', async () => {
  const by = { what: 'scheme', scheme: 'fp8' } as const;
  const folder = await temporaryFolder();
  const saveSmooth = join(folder, 'smooth.onnx');
  const asked = { ...budget, thresholds, model: llama, text: text(boats), window: 24, tokens: 23, by, saveSmooth };
  const run = diagnose(engine, { ...asked, calibrationText: text(pendulum), aim: 1 });
  const undone: string[] = [];
  let step = await run.next();
  for (; !step.done; step = await run.next()) {
    const { partial } = step.value;
    if (partial) undone.push(partial.undone.join(' '));
    if (partial?.undone.includes('list'))
      expect(doctorConclusion(partial)).toMatch(
        partial.swap.length === 0 ? /^Hidden states are compared up to h_/ : /^Quantised, /,
      );
  }
  const result = step.value;
  // The aim is reached with nothing kept, so that no list is looked for.
  expect([...new Set(undone)]).toEqual(['blocks products list remedies', 'products list remedies', 'remedies']);
  expect(result.undone).toEqual([]);
  expect(result.remedies.map(({ name }) => name)).toEqual(['exclude', 'tokens', 'prefix', 'smooth', 'per-token']);
  for (const { kld } of result.remedies) expect(kld).toBeGreaterThan(0);
  expect(found(result.remedies, ({ name }) => name === 'tokens')).toMatchObject({ tokens: 1 });
  // In floats the smoothed model is the model.
  const smooth = found(result.remedies, ({ name }) => name === 'smooth');
  expect(smooth.file).toBe(saveSmooth);
  const ids = Array.from({ length: 20 }, (_, i) => (7 * i) % 160);
  const logits = [];
  for (const [i, model] of [llama, saveSmooth].entries()) {
    const file = join(folder, `${i}.safetensors`);
    const save = { file, attention: false, mlp: false, logits: true };
    const end = await last(engine.analyze({ ...budget, model, prompt: { ids }, attention: false, save }));
    expect(end.type).toBe('finished');
    logits.push((await readFloats(file, 'logits')).values);
  }
  const [before = new Float32Array(), after = new Float32Array()] = logits;
  const largest = before.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, value] of after.entries())
    expect(Math.abs(value - at([...before.slice(i, i + 1)], 0))).toBeLessThan(1e-5 * largest);
  // And its weights are others.
  expect(await engine.identity(saveSmooth)).not.toBe(result.identity);
});

it('fp16 that overflows is said, with what mends it', async () => {
  const model = path('test/references/overflow/float.onnx');
  const sequences = [{ ids: [0, 5, 9, 2, 7, 11, 3, 8], from: 1 }];
  const by = { what: 'scheme', scheme: 'fp16' } as const;
  const klds: number[] = [];
  const swaps: number[] = [];
  for await (const event of follow(engine.run('pair', { ...budget, reference: model, by, sequences })))
    if (event.type === 'paired') {
      klds.push(...event.kld);
      for (const { alone, restored } of event.swaps) {
        expect(alone).toBeUndefined();
        swaps.push(restored);
      }
    }
  expect(klds.every(Number.isNaN)).toBe(true);
  // The first block gives what overflows, as ±Infinity, and no other part mends that.
  expect(swaps.map(Number.isFinite)).toEqual([false, true, false, false, false]);
});

it('what a scheme cannot do without is asked for before anything is run', async () => {
  const asked = { ...budget, thresholds, model: llama, text: text(boats), window: 24, tokens: 23 };
  const refusal = (more: Partial<Parameters<typeof diagnose>[1]>) =>
    finish(diagnose(engine, { ...asked, by: { what: 'scheme', scheme: 'int8-static' }, ...more }));
  await expect(refusal({})).rejects.toThrow(/^int8-static takes its scales from another text: give one .*--calibrate/);
  await expect(refusal({ calibrationText: '' })).rejects.toThrow(/^The calibration text is empty/);
  const saveSmooth = join(await temporaryFolder(), 'no', 'smooth.onnx');
  await expect(refusal({ saveSmooth })).rejects.toThrow(/the folder .* does not exist/);
  const by = { what: 'scheme', scheme: 'int4-block32' } as const;
  await expect(refusal({ by, saveSmooth: join(await temporaryFolder(), 's.onnx') })).rejects.toThrow(
    /^No smoothed model is made for int4-block32, which rounds weights alone/,
  );
});

it('a calibration text that fills no window is one, and the result says how short it is', async () => {
  const asked = { ...budget, thresholds, model: llama, text: text(boats), window: 24, tokens: 23 };
  const by = { what: 'scheme', scheme: 'int8-static' } as const;
  let result: DoctorResult | undefined;
  for await (const { partial } of diagnose(engine, { ...asked, by, calibrationText: 'A short text' })) {
    result = partial;
    // What follows takes longest, and is of the same calibration.
    if (result) break;
  }
  if (!result) throw new Error('nothing was told on the way');
  const { prefix } = result.windows;
  const { ids } = await engine.encode(llama, 'A short text');
  const short = ids.length + Number(prefix !== undefined);
  expect(result.calibrated?.sequences.map(({ ids }) => ids.length)).toEqual([short]);
  const named = (name: string) => ({ name, text: '' });
  const { settings } = presentDoctor(result, { text: named('boats'), calibration: named('short.txt') });
  expect(settings).toContainEqual({
    name: 'calibration',
    value: `short.txt, which has no more than ${short} tokens of a window of 24, 1 window`,
  });
});

it('an aim that cannot be reached is said, with the best that was found', async () => {
  const asked = { ...budget, thresholds: defaultThresholds, text: text(boats), window: 24, tokens: 23 };
  const by = { what: 'scheme', scheme: 'int4-block128' } as const;
  const result = await finish(diagnose(engine, { ...asked, model: llama, by, aim: 0 }));
  // With every product as it was nothing is left of what a scheme costs.
  expect(at(result.curve, -1).products).toHaveLength(result.of);
  expect(result.chosen.kld).toBeLessThan(1e-6);
  // Below that nothing can be: what files cost beside their products.
  expect(doctorConclusion({ ...result, aim: -1 })).toMatch(
    /The aim of −1 cannot be reached by excluding products: the best that was found, 57 products of 57, brings that to/,
  );
  const counts = result.curve.map(({ products }) => products.length);
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
});

it('a weight is rounded once for all runs of its block, and one in single precision belongs to no session', async () => {
  const loaded = loadModel(llama);
  const owned: number[] = [];
  const roundedFor = async (variants: readonly number[][]) => {
    let rounded = 0;
    const create: typeof createSession = async (bytes, folder, options) => {
      const session = await createSession(bytes, folder, options);
      for (const data of options.files?.values() ?? []) owned.push(data.length);
      const run: typeof session.run = (feeds, fetched) => {
        if (feeds.size === 0) rounded++;
        return session.run(feeds, fetched);
      };
      return { ...session, run };
    };
    const model = new StageRunner(simulate(loaded, schemes['int4-block32']), 1, create);
    const by = { what: 'scheme', scheme: 'int4-block32' } as const;
    const asked = { ...budget, reference: llama, by, sequences: [{ ids: [0, 5, 9, 2], from: 1 }], variants };
    await restoreProducts({ reference: new StageRunner(loaded, 1), model }, asked, async () => {});
    return rounded;
  };
  // Two, for what one restores it has no rounded weight of.
  const once = await roundedFor([[0], [1]]);
  expect(once).toBeGreaterThanOrEqual(57);
  expect(await roundedFor([[0], [1], [2], [3]])).toBe(once);
  expect(owned).toEqual([]);
});

it('a file that is the model itself, and a model without products in single precision, are refused', async () => {
  const asked = { ...budget, thresholds: defaultThresholds, text: text(boats), window: 64, tokens: 63 };
  const copy = join(await temporaryFolder(), 'model.onnx');
  await copyFile(llama, copy);
  await expect(finish(diagnose(engine, { ...asked, model: llama, by: { what: 'file', model: copy } }))).rejects.toThrow(
    /is the model itself, or a copy of it: its graph is the same, .* nothing was quantised; give the file that was made from it\.$/,
  );
  const half = loadModel(fixtureModel('llama-genai-fp16'));
  expect(found(half.linear(), ({ part }) => part === 'mlp_out').products.length).toBeGreaterThan(0);
});

it.each([
  ['llama-genai-fp16', 'MatMul in half precision', 'give the model in fp32, as plain operators'],
  ['llama-tfjs-q4', 'MatMulNBits', 'it is quantised already: give the model that it was made from'],
  ['llama-int8-dynamic', 'MatMulInteger', 'it is quantised already: give the model that it was made from'],
  [
    'llama-qdq-weights',
    'MatMul of dequantised weights',
    'it is quantised already: give the model that it was made from',
  ],
])('a scheme that takes nothing of %s is refused with what there is', (name, kinds, instead) => {
  const model = fixtureModel(name);
  expect(() => simulate(loadModel(model), schemes['int4-block32'])).toThrow(
    `${model} cannot be quantised by a scheme: it has no MatMul of an activation with a weight in single precision (its products are ${kinds}); ${instead}.`,
  );
});

it('operators that one scheme takes and another does not are told', async () => {
  const model = fixtureModel('gpt2-ts-op14');
  const loaded = loadModel(model);
  const blocks = { ...loaded, linear: () => loaded.linear().filter(({ part }) => part !== 'head') };
  expect(() => simulate(blocks, schemes['int4-block32'])).toThrow(
    /\(its products are Gemm\); give a scheme that takes Gemm\.$/,
  );
  const sequences = [{ ids: [1, 2, 3], from: 1 }];
  const by = { what: 'scheme', scheme: 'int4-block32' } as const;
  for await (const event of follow(engine.run('restore', { ...budget, reference: model, by, sequences, variants: [] })))
    expect(event).toMatchObject({ type: 'products', products: [{ part: 'head' }], without: 12, kinds: ['Gemm'] });
});
