/** A model and a file made from it, side by side, held against whole runs in Python (tools/references/quantised.py). */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PairedEvent } from '../../../src/engine/contract/pair.js';
import type { RequestOf } from '../../../src/engine/contract/protocol.js';
import { saturates } from '../../../src/engine/stages/saturation.js';
import { Comparison, type Divergence } from '../../../src/experiments/shared/divergence.js';
import { follow } from '../../../src/experiments/shared/text.js';
import references from '../../references/quantised.json';
import {
  budget,
  demoModel,
  fixtureModel,
  off,
  startEngine,
  temporaryFolder,
  withWeight,
} from '../../support/experiments.js';
import { pairs } from '../../support/lists.js';

const engine = startEngine();

interface Tolerance {
  /** Relative. */
  readonly kld: number;
  /** dB. */
  readonly sqnr: number;
}

const alike: Tolerance = { kld: 2e-3, sqnr: 0.02 };
/** By how names end. */
const tolerances: readonly (readonly [string, Tolerance])[] = [
  // Where halves are rounded depends on what ONNX Runtime has fused.
  ['fp16', { kld: 3, sqnr: 2 }],
  ['fp16-converted', { kld: 3, sqnr: 2 }],
  // With accuracy level 4 MatMulNBits rounds what it reads to bytes. Each processor's kernel finds their scales in its
  // own way, so that an entry between two bytes becomes one or the other; level 1 rounds nothing.
  ['int4', { kld: 2.2e-2, sqnr: 0.1 }],
];

const file = (model: string) => ({ what: 'file', model }) as const;

async function paired(request: RequestOf<'pair'>): Promise<{ windows: PairedEvent[]; divergence: Divergence }> {
  const windows: PairedEvent[] = [];
  const comparison = new Comparison();
  for await (const event of follow(engine.run('pair', { alone: true, ...request }))) {
    if (event.type !== 'progress') comparison.add(event);
    if (event.type === 'paired') windows.push(event);
  }
  return { windows, divergence: comparison.divergence };
}

/** Holds figures against those of a reference, all of them there are. */
function expectClose(found: Divergence, expected: (typeof references.pairs)[number], tolerance: Tolerance): void {
  for (const key of ['mean', 'median', 'p99', 'max'] as const)
    expect(off(found.kld[key], expected.kld[key]), `kld ${key}`).toBeLessThan(tolerance.kld);
  expect(found.sameTop).toBeCloseTo(expected.sameTop, 5);
  expect(off(found.rmsDp, expected.rmsDp), 'rms Δp').toBeLessThan(tolerance.kld);
  for (const [k, [one, other]] of pairs(found.sqnr, expected.sqnr).entries())
    for (const kind of ['cumulative', 'local'] as const)
      if (other[kind] === null) expect(one[kind], `h_${k} ${kind}`).toBe(Number.POSITIVE_INFINITY);
      else expect(Math.abs(one[kind] - other[kind]), `h_${k} ${kind}`).toBeLessThan(tolerance.sqnr);
  for (const [part, [one, other]] of pairs(found.swap, expected.swap).entries())
    for (const kind of ['alone', 'restored'] as const)
      if (other[kind] === 0) expect(one[kind], `${kind} ${part}`).toBe(0);
      else expect(off(one[kind] ?? Number.NaN, other[kind]), `${kind} ${part}`).toBeLessThan(tolerance.kld);
}

/** Products of bytes with signed bytes of all eight bits, of which the references have the sums as they are meant. */
const ofBytes = ['gpt2-int8-dynamic', 'gpt2-qdq-static'];
const saturating = await saturates();

describe.each(references.pairs)('$reference and $model equal ONNX Runtime in Python', (expected) => {
  it('in KL divergence, SQNR and what each part costs', async ({ skip }) => {
    skip(saturating && ofBytes.includes(expected.model), 'sums of products of bytes saturate here');
    const { reference, model, ids } = expected;
    const request = { reference: fixtureModel(reference), by: file(fixtureModel(model)) };
    const { divergence } = await paired({ ...budget, ...request, sequences: [{ ids, from: 1 }] });
    expectClose(divergence, expected, tolerances.find(([kind]) => model.endsWith(kind))?.[1] ?? alike);
  });
});

it('figures are the same whatever goes through the blocks together, and in parts of the logits', async () => {
  const [reference, model] = [fixtureModel('llama-genai-fp32'), fixtureModel('llama-genai-int4')];
  const sequences = [0, 1, 2].map((s) => ({ ids: Array.from({ length: 20 }, (_, i) => (7 * i + s) % 160), from: 5 }));
  const { windows: together, divergence } = await paired({ ...budget, reference, by: file(model), sequences });
  const { windows: apart, divergence: other } = await paired({
    ...budget,
    memory: 1e4,
    reference,
    by: file(model),
    sequences,
  });
  for (const [a, b] of pairs(divergence.sqnr, other.sqnr)) expect(a.cumulative).toBeCloseTo(b.cumulative, 2);
  expect(together.map(({ kld }) => kld.length)).toEqual([15, 15, 15]);
  for (const [one, other] of pairs(together, apart)) {
    for (const [a, b] of pairs([...one.kld], [...other.kld])) expect(off(a, b)).toBeLessThan(1e-3);
    for (const [a, b] of pairs(one.swaps, other.swaps)) expect(a.restored).toBeCloseTo(b.restored, 4);
  }
});

it('windows in which the two are run as they are count for what is predicted, and parts are told of all', async () => {
  const [reference, model] = [fixtureModel('llama-genai-fp32'), fixtureModel('llama-genai-int4')];
  const all = [0, 1, 2].map((s) => ({ ids: Array.from({ length: 20 }, (_, i) => (7 * i + 3 * s) % 160), from: 5 }));
  const asked = { ...budget, reference, by: file(model) };
  const whole = await paired({ ...asked, sequences: all });
  const comparison = new Comparison();
  for (const [sequences, parts] of [
    [all.slice(0, 2), true],
    [all.slice(2), false],
  ] as const)
    for await (const event of follow(engine.run('pair', { ...asked, sequences, parts })))
      if (event.type !== 'progress') comparison.add(event);
  const { kld, swap, sqnr } = comparison.divergence;
  for (const key of ['mean', 'median', 'p99', 'max'] as const)
    expect(off(kld[key], whole.divergence.kld[key]), key).toBeLessThan(1e-3);
  expect(sqnr).toHaveLength(whole.divergence.sqnr.length);
  const some = await paired({ ...asked, sequences: all.slice(0, 2) });
  // By how much restoring a part changes the divergence where that was seen, of the divergence over all.
  for (const [one, other] of pairs(swap, some.divergence.swap))
    expect(off(one.restored / kld.mean, other.restored / some.divergence.kld.mean)).toBeLessThan(1e-3);
});

const sequences = [{ ids: [1, 2, 3, 4], from: 1 }];

it('a file of other blocks is refused, and one that sees what comes after', async () => {
  const reference = fixtureModel('llama-ts-op17-sdpa');
  const refusal = (model: string) => paired({ ...budget, reference, by: file(model), sequences });
  await expect(refusal(demoModel('llama'))).rejects.toThrow(
    /llama\/model\.onnx has 8 blocks, and .* 3; compare a model/,
  );
  await expect(refusal(fixtureModel('bert-optimum-op14'))).rejects.toThrow(/lets every token see those after it/);
});

it('where the reference is no number it is refused, and where the file is none it is told from which block on', async () => {
  const sound = fixtureModel('llama-ts-op17-sdpa');
  const broken = join(await temporaryFolder(), 'model.onnx');
  await writeFile(
    broken,
    withWeight(sound, 'm.model.layers.1.input_layernorm.weight', 0, () => Number.NaN),
  );
  await expect(paired({ ...budget, reference: broken, by: file(sound), sequences })).rejects.toThrow(
    /^h_2 of .*model\.onnx has entries that are not finite/,
  );
  const { divergence } = await paired({ ...budget, reference: sound, by: file(broken), sequences });
  const { kld, sqnr, swap } = divergence;
  expect(kld.mean).toBeNaN();
  expect(sqnr.map(({ cumulative }) => Number.isNaN(cumulative))).toEqual([false, false, true, true]);
  // Block 2 of the model mends it, and no other part does.
  expect(swap.map(({ restored }) => Number.isNaN(restored))).toEqual([true, true, false, true, true]);
});
