/** Values of another run in place of a sequence's own: what has to be so whatever the file looks like, and what it costs. */
import { describe, expect, it } from 'vitest';
import type { Entries } from '../../../src/engine/contract/interventions.js';
import type { MeasuredEvent, ScoredSequence } from '../../../src/engine/contract/measure.js';
import { measure } from '../../../src/engine/jobs/measure.js';
import { loadModel } from '../../../src/engine/stages/loaded.js';
import { StageRunner } from '../../../src/engine/stages/runner.js';
import { createSession } from '../../../src/engine/stages/session.js';
import { demo, fixture } from '../../support/files.js';
import { at, pairs } from '../../support/lists.js';

const corrupt = [3, 17, 90, 41, 8, 66, 25, 110];
/** Apart also where all is rounded to bytes, whether or not their products saturate. */
const clean = corrupt.map((id, i) => (i === 6 ? 140 : id));
const answers = [5, 60] as const;

async function differences(runner: StageRunner, patches: readonly (readonly Entries[])[], memory = 2 ** 31) {
  const common = { from: clean.length, answers };
  const asIs = { name: 'as is', interventions: [] };
  const patched = patches.map((some) => ({ name: 'patched', interventions: [], patches: some }));
  const sequences: ScoredSequence[] = [
    { ...common, ids: clean, variants: [asIs] },
    { ...common, ids: corrupt, other: clean, variants: [asIs, ...patched] },
  ];
  const found: number[] = [];
  await measure(runner, { model: runner.loaded.file, sequences, memory, threads: 1 }, async (event) => {
    if (event.type === 'measured') found.push((event satisfies MeasuredEvent).difference ?? Number.NaN);
  });
  return found;
}

const all = (point: Entries['point'], block: number): Entries => ({ point, block, tokens: 'all', dims: 'all' });

/** Products between dequantised operands are then none of bytes, and give what they do where those do not saturate. */
const asWritten: typeof createSession = (bytes, folder, options) =>
  createSession(bytes, folder, { ...options, asWritten: true });

describe.each([
  ['llama-ts-op17-sdpa', createSession],
  ['llama-genai-int4', createSession],
  ['llama-genai-fp16', createSession],
  ['gpt2-int8-dynamic', createSession],
  ['gpt2-qdq-static', createSession],
  ['gpt2-qdq-static', asWritten],
  ['gpt_neox-optimum-past', createSession],
  ['gemma2-ts-op17', createSession],
] as const)('%s with what the clean run has', (name, create) => {
  it('in place of all that enters a layer decides as the clean run does, and products pass on what they are given', async () => {
    const runner = new StageRunner(loadModel(fixture(name).model), 1, create);
    const { layers } = runner.loaded.anatomy;
    const block = Math.min(2, layers);
    const found = await differences(runner, [
      [all('resid_post', 0)],
      [all('resid_post', block)],
      [all('z', block)],
      [all('attn_out', block)],
      [all('mlp', block)],
      [all('mlp_out', block)],
      [all('attn_out', block), all('mlp_out', block), all('resid_post', block - 1)],
    ]);
    const [whole, before, h0, hk, z, attention, mlp, output, together] = found.map((_, i) => at(found, i));
    const near = (one: number | undefined, other: number | undefined) =>
      expect(Math.abs((one ?? Number.NaN) - (other ?? Number.NaN))).toBeLessThan(
        2e-3 * Math.abs(at(found, 0) - at(found, 1)) + 1e-5,
      );
    expect(whole).not.toBeCloseTo(before ?? 0, 4);
    near(h0, whole);
    near(hk, whole);
    near(z, attention);
    near(mlp, output);
    near(together, whole);
    expect(attention).not.toBe(before);
    expect(output).not.toBe(before);
    await runner.release();
  });
});

describe('a grid of layers and tokens', () => {
  const loaded = loadModel(demo);
  const { layers } = loaded.anatomy;
  const tokens = Array.from({ length: 6 }, (_, i) => i + 2);
  const grid = Array.from({ length: layers + 1 }, (_, block) =>
    tokens.map((token): Entries[] => [{ ...all('resid_post', block), tokens: [token] }]),
  ).flat();

  /** How many sessions are made, and how often blocks are run. */
  async function counted(memory: number) {
    const count = { made: 0, runs: 0 };
    const runner = new StageRunner(loaded, 1, async (...given) => {
      const session = await createSession(...given);
      count.made++;
      return {
        run: (feeds) => {
          count.runs++;
          return session.run(feeds);
        },
        release: () => session.release(),
      };
    });
    const found = await differences(runner, grid, memory);
    await runner.release();
    return { ...count, found };
  }

  it('takes less than 0.6 forward runs for each cell, and each block is made a few times', async () => {
    const plenty = await counted(2 ** 31);
    // A run is the embedding, every block and the head. Beside the cells there are two of the clean prompt, one of the
    // corrupt one, and the first block's that tell whether the model is causal.
    const forward = layers + 2;
    expect(plenty.runs).toBeLessThanOrEqual(0.6 * grid.length * forward + 3 * forward + 2);
    expect(plenty.made).toBeLessThanOrEqual(4 * forward);
    // With room for a few lanes only, the same comes out.
    const little = await counted(4e6);
    expect(little.runs).toBeGreaterThan(plenty.runs);
    for (const [one, other] of pairs(little.found, plenty.found)) expect(one).toBeCloseTo(other, 4);
  });
});

it('a sequence of another length is refused', async () => {
  const runner = new StageRunner(loadModel(fixture('llama-ts-op17-sdpa').model), 1);
  const sequence = {
    ids: corrupt,
    from: 1,
    other: corrupt.slice(1),
    variants: [{ name: '', interventions: [], patches: [all('z', 1)] }],
  };
  const request = { model: runner.loaded.file, sequences: [sequence], memory: 2 ** 31, threads: 1 };
  await expect(measure(runner, request, async () => {})).rejects.toThrow('this one has 8 tokens, the other 7');
});
