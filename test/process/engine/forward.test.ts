/** Blocks outside, sequences inside: what is made for a group, what is said of it, and that nothing else changes. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Intervention } from '../../../src/engine/contract/interventions.js';
import type { MeasuredEvent, ProgressEvent, ScoredSequence, Variant } from '../../../src/engine/contract/measure.js';
import type { MeanEvent, StatesEvent } from '../../../src/engine/contract/states.js';
import { measure } from '../../../src/engine/jobs/measure.js';
import { reduceStates } from '../../../src/engine/jobs/states.js';
import { isCausal } from '../../../src/engine/stages/causal.js';
import { loadModel } from '../../../src/engine/stages/loaded.js';
import { blockBytes, stateBytes } from '../../../src/engine/stages/memory.js';
import { StageRunner } from '../../../src/engine/stages/runner.js';
import { createSession } from '../../../src/engine/stages/session.js';
import type { HiddenStatistics } from '../../../src/statistics/statistics.js';
import { fixture } from '../../support/files.js';
import { found, pairs } from '../../support/lists.js';

const { model } = fixture('llama-ts-op17-sdpa');
const loaded = loadModel(model);
const { layers } = loaded.anatomy;
// Asked once of a model; the sessions that this takes are not those that are counted here.
beforeAll(() => isCausal(new StageRunner(loaded, 1), [1, 2, 3]));

const tokens = 24;
/** Has room for two sequences of so many lanes beside a block. */
const roomForTwo = (lanes: number) =>
  blockBytes(loaded.anatomy, tokens) + 2.5 * lanes * stateBytes(loaded.anatomy, tokens);
/** Too little to keep the model: room for all sequences and their changes together, for two, for one. */
const budgets = { together: 60e6, pairs: roomForTwo(3), single: 1 };
const ample = 2 ** 31;

/** A runner that counts the sessions it makes, and those that are there at once. */
function counting() {
  const count = { made: 0, alive: 0, most: 0 };
  const runner = new StageRunner(loaded, 1, async (...given) => {
    const session = await createSession(...given);
    count.made++;
    count.most = Math.max(count.most, ++count.alive);
    return {
      run: (feeds) => session.run(feeds),
      release: async () => {
        count.alive--;
        await session.release();
      },
    };
  });
  return { runner, count };
}

const asIs: Variant = { name: 'as is', interventions: [] };
const zero = (block: number, token: number, point: Intervention['point'] = 'resid_post'): Variant => ({
  name: 'zero',
  interventions: [{ point, block, tokens: [token], dims: 'all', set: { to: 'zero' } }],
});

/** The i-th sequence; each is changed at a token of its own. */
const sequence = (i: number, variants: readonly Variant[]): ScoredSequence => ({
  ids: Array.from({ length: tokens }, (_, t) => (i * 71 + t * 37) % 150),
  from: 1,
  variants,
});
const changed = [0, 1, 2, 3, 4].map((i) => sequence(i, [asIs, zero(2, i + 1), zero(layers, i + 2, 'mlp')]));

async function measured(runner: StageRunner, sequences: readonly ScoredSequence[], memory: number) {
  const events: (MeasuredEvent | ProgressEvent)[] = [];
  await measure(runner, { model, sequences, memory, threads: 1 }, async (event) => void events.push(event));
  return events;
}

async function reduced(runner: StageRunner, memory: number) {
  const events: (StatesEvent | MeanEvent | ProgressEvent)[] = [];
  const sequences = changed.map(({ ids }) => ids);
  const request = { model, sequences, mean: { rows: [0] }, memory, threads: 1 };
  await reduceStates(runner, request, undefined, async (event) => void events.push(event));
  return events;
}

const isProgress = (event: { readonly type: string }): event is ProgressEvent => event.type === 'progress';
const isMeasured = (event: { readonly type: string }): event is MeasuredEvent => event.type === 'measured';

/** Sequences that are under way together, in their order. */
const groupsOf = (events: readonly { readonly type: string }[]) => [
  ...new Set(events.filter(isProgress).map(({ from, to }) => `${from} to ${to}`)),
];

describe('sessions', () => {
  it('are made once for all sequences and variants that are scored together', async () => {
    const { runner, count } = counting();
    const plain = changed.map((one) => ({ ...one, variants: [asIs] }));
    await measured(runner, plain, budgets.together);
    const stages = layers + 2;
    expect(count).toEqual({ made: stages, alive: 0, most: 1 });

    await measured(runner, changed, budgets.together);
    // The block that is changed inside is made in two parts, and whole for the others.
    expect(count.made).toBe(stages + stages + 2);
    expect(count.most).toBe(3);
    expect(count.alive).toBe(0);
  });

  it('are made for each group where there is no room for all together', async () => {
    const { runner, count } = counting();
    const plain = changed.map((one) => ({ ...one, variants: [asIs] }));
    const events = await measured(runner, plain, roomForTwo(1));
    expect(groupsOf(events)).toEqual(['0 to 2', '2 to 4', '4 to 5']);
    expect(count).toEqual({ made: 3 * (layers + 2), alive: 0, most: 1 });
  });

  it('are made once for all where the budget has room for the model, and stay for the next measurement', async () => {
    const { runner, count } = counting();
    const plain = changed.map((one) => ({ ...one, variants: [asIs] }));
    for (const _ of ['first', 'again']) await measured(runner, plain, ample);
    // All blocks, and the head.
    expect(count).toMatchObject({ made: 2, alive: 2 });
    await runner.release();
    expect(count.alive).toBe(0);
  });

  it('kept for something else are freed before others are kept', async () => {
    const { runner, count } = counting();
    await measured(runner, changed, ample);
    const first = count.alive;
    await reduced(runner, ample);
    expect(count.alive).toBeLessThan(first);
    expect(count.most).toBe(first);
    await runner.release();
  });

  it('are made once for all states that are reduced together', async () => {
    const { runner, count } = counting();
    await reduced(runner, budgets.together);
    expect(count).toEqual({ made: layers + 1, alive: 0, most: 1 });
  });
});

describe('what is said', () => {
  it.each(Object.entries(budgets))('of scored sequences comes group by group, in order: %s', async (_, memory) => {
    const events = await measured(counting().runner, changed, memory);
    const order = events.filter(isMeasured).map(({ sequence, variant }) => [sequence, variant]);
    expect(order).toEqual(changed.flatMap((_, sequence) => [0, 1, 2].map((variant) => [sequence, variant])));
    let expected = 0;
    for (const group of groupsOf(events)) {
      const [from = 0, to = 0] = group.split(' to ').map(Number);
      expect(from).toBe(expected);
      expected = to;
      const own = events.filter((event) =>
        isProgress(event) ? event.from === from : isMeasured(event) && event.sequence >= from && event.sequence < to,
      );
      // First how far they are, block by block, then what came out.
      const start = events.indexOf(found(own, isProgress));
      expect(events.slice(start, start + own.length)).toEqual(own);
      const progress = own.filter(isProgress);
      expect(own.slice(0, progress.length)).toEqual(progress);
      expect(progress.map(({ done }) => done)).toEqual([0, ...Array.from({ length: layers }, (_, block) => block)]);
      expect(progress.every(({ of }) => of === layers)).toBe(true);
    }
    expect(expected).toBe(changed.length);
  });

  it('of states comes sequence by sequence, means last', async () => {
    for (const memory of [...Object.values(budgets).slice(0, 2), ample]) {
      const events = await reduced(counting().runner, memory);
      const results = events.filter((event) => !isProgress(event));
      expect(results.map((event) => (event.type === 'states' ? event.sequence : event.type))).toEqual([
        ...changed.keys(),
        ...Array.from({ length: layers + 1 }, () => 'mean'),
      ]);
    }
  });
});

describe('how sequences are grouped changes nothing', () => {
  it('in losses: each sequence is changed at its own tokens, as if it were alone', async () => {
    const alone: Float32Array[] = [];
    for (const one of changed) {
      const events = await measured(counting().runner, [one], ample);
      alone.push(...events.filter(isMeasured).map(({ losses }) => losses));
    }
    for (const memory of [...Object.values(budgets), ample]) {
      const events = (await measured(counting().runner, changed, memory)).filter(isMeasured);
      for (const [{ losses }, expected] of pairs(events, alone))
        for (const [loss, own] of pairs(losses, expected)) expect(Math.abs(loss - own)).toBeLessThan(1e-4);
    }
    // The changes do something, each something else.
    const sums = alone.map((losses) => losses.reduce((sum, loss) => sum + loss, 0));
    expect(new Set(sums.map((sum) => sum.toFixed(3))).size).toBe(alone.length);
  });

  it('in states and their means', async () => {
    const of = async (memory: number) =>
      (await reduced(counting().runner, memory)).flatMap((event): HiddenStatistics[] => {
        if (event.type === 'states') return [...event.states];
        return event.type === 'mean' ? [event.statistics] : [];
      });
    const kept = await of(ample);
    for (const memory of Object.values(budgets).slice(0, 2)) {
      for (const [one, other] of pairs(await of(memory), kept)) {
        expect(Math.abs(one.median / other.median - 1)).toBeLessThan(1e-4);
        for (const [norm, own] of pairs(one.tokenNorm, other.tokenNorm))
          expect(Math.abs(norm / own - 1)).toBeLessThan(1e-4);
      }
    }
  });
});
