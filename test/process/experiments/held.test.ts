/** What a comparison holds when sessions are made, for it is then that a process has most. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { comparePair } from '../../../src/engine/jobs/pair.js';
import { loadModel } from '../../../src/engine/stages/loaded.js';
import { StageRunner } from '../../../src/engine/stages/runner.js';
import { createSession } from '../../../src/engine/stages/session.js';
import { simulate } from '../../../src/engine/stages/simulated.js';
import { schemes } from '../../../src/onnx/quantise.js';
import { budget, fixtureModel } from '../../support/experiments.js';
import { at } from '../../support/lists.js';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

it('blocks and heads are made beside the states that are still needed, and beside no logits of before', async () => {
  const reference = fixtureModel('llama-ts-op17-sdpa');
  const loaded = loadModel(reference);
  const { layers, hidden = 0, vocabulary = 0 } = loaded.anatomy;
  const given: WeakRef<ArrayBufferView>[] = [];
  const blocks: number[] = [];
  const heads: number[] = [];
  const create: typeof createSession = async (bytes, folder, options) => {
    // Not what rounds a weight.
    if (options.asWritten !== true) {
      // What was looked at in this turn is held until its end.
      await new Promise((resolve) => setImmediate(resolve));
      collect();
      (Buffer.from(bytes).includes('logits') ? heads : blocks).push(
        given.reduce((sum, one) => sum + (one.deref()?.byteLength ?? 0), 0),
      );
    }
    const session = await createSession(bytes, folder, options);
    return {
      ...session,
      async run(feeds, fetched) {
        const results = await session.run(feeds, fetched);
        for (const { data } of results.values()) given.push(new WeakRef(data));
        return results;
      },
    };
  };
  const model = new StageRunner(simulate(loaded, schemes['int4-block32']), 1, create);
  const runners = { reference: new StageRunner(loaded, 1, create), model };
  const tokens = 128;
  const rows = 16;
  // Of which an eighth are logits of two models.
  const memory = 8 * 2 * 4 * vocabulary * rows;
  const sequences = [{ ids: Array.from({ length: tokens }, (_, i) => (7 * i) % 160), from: 1 }];
  const by = { what: 'scheme', scheme: 'int4-block32' } as const;
  await comparePair(runners, { ...budget, memory, reference, by, sequences }, async () => {});

  const state = 4 * tokens * hidden;
  const all = (layers + 1) * state;
  // The model's last block: what has been exchanged so far, and both as they are; what is small is carried.
  expect(at(blocks, -2)).toBeLessThan(all + state / 2);
  // One head after the other for each part, which holds twice as many rows, beside what is to be scored.
  expect(heads).toHaveLength(2 * Math.ceil((tokens - 1) / (2 * rows)));
  const ofModel = heads.filter((_, i) => i % 2 === 0);
  for (const held of ofModel) expect(held).toBeLessThanOrEqual(all);
});
