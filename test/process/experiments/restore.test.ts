/** Products of a file that are restored to what the model has, and what that takes. */
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { comparePair } from '../../../src/engine/jobs/pair.js';
import { restoreProducts } from '../../../src/engine/jobs/restore.js';
import { likenesses } from '../../../src/engine/stages/counterparts.js';
import { loadModel } from '../../../src/engine/stages/loaded.js';
import { StageRunner } from '../../../src/engine/stages/runner.js';
import { createSession } from '../../../src/engine/stages/session.js';
import { simulate } from '../../../src/engine/stages/simulated.js';
import { rankedOn } from '../../../src/experiments/doctor/estimate.js';
import { follow } from '../../../src/experiments/shared/text.js';
import { schemes } from '../../../src/onnx/quantise.js';
import ranges from '../../references/static/reference.json';
import { budget, fixtureModel, off, path, startEngine, temporaryFolder } from '../../support/experiments.js';
import { at, pairs } from '../../support/lists.js';
import { scrambledFile } from '../../zoo/scramble.js';

const engine = startEngine();

it('products of another file are told, and all of a block restored are the block', async () => {
  for (const [reference, model] of [
    ['llama-ts-op17-sdpa', 'llama-int8-dynamic'],
    ['llama-genai-fp32', 'llama-genai-int4'],
  ] as const) {
    const sequences = [{ ids: Array.from({ length: 20 }, (_, i) => (7 * i) % 160), from: 1 }];
    const by = { what: 'file', model: fixtureModel(model) } as const;
    const asked = { ...budget, reference: fixtureModel(reference), by, sequences };
    const blocks: number[] = [];
    for await (const event of follow(engine.run('restore', { ...asked, variants: [] })))
      if (event.type === 'products') {
        expect(event.without).toBe(0);
        for (const { block } of event.products) blocks.push(block);
      }
    const ofBlock = (block: number) => blocks.flatMap((one, i) => (one === block ? [i] : []));
    const swaps: number[] = [];
    for await (const event of follow(engine.run('pair', asked)))
      if (event.type === 'paired') for (const { restored } of event.swaps) swaps.push(restored);
    const variants = [1, 2, 3, 4].map(ofBlock);
    const [some = 0] = ofBlock(2);
    const inBlock = { variants: [...variants.slice(0, 3), [some]], inBlock: true };
    for await (const event of follow(engine.run('restore', { ...asked, ...inBlock })))
      if (event.type === 'noises') {
        for (const left of event.left.slice(0, 3)) expect(left).toBe(0);
        // One product of several leaves a part of its block's noise.
        expect(at(event.left, 3)).toBeGreaterThan(0);
        expect(at(event.left, 3)).toBeLessThan(at(event.whole, 3));
        expect(at(event.whole, 3)).toBe(at(event.whole, 1));
      }
    for await (const event of follow(engine.run('restore', { ...asked, variants })))
      if (event.type === 'restored')
        for (const [one, other] of pairs(event.kld, swaps.slice(1))) expect(off(one, other)).toBeLessThan(1e-3);
  }
});

it.each([
  ['llama-ts-op17-sdpa', 'llama-int8-dynamic'],
  ['llama-genai-fp32', 'llama-genai-int4'],
])('products of %s are told in %s whatever they are called there and stand in what order', async (reference, model) => {
  const other = await scrambledFile(dirname(fixtureModel(model)), join(await temporaryFolder(), 'other'), 2);
  const sequences = [{ ids: Array.from({ length: 20 }, (_, i) => (7 * i) % 160), from: 1 }];
  const noises = [];
  for (const one of [fixtureModel(model), other]) {
    const by = { what: 'file', model: one } as const;
    const asked = { ...budget, reference: fixtureModel(reference), by, sequences, inBlock: true };
    const variants: number[][] = [];
    for await (const event of follow(engine.run('restore', { ...asked, variants: [] })))
      if (event.type === 'products') {
        expect(event.without).toBe(0);
        for (const [i, { block }] of event.products.entries()) if (block === 2) variants.push([i]);
      }
    for await (const event of follow(engine.run('restore', { ...asked, variants })))
      if (event.type === 'noises') noises.push(event.left);
  }
  for (const [left, expected] of pairs(at(noises, 1), at(noises, 0))) expect(off(left, expected)).toBeLessThan(1e-2);
});

it('products of another model of the same shapes are none of these', async () => {
  const folder = join(await temporaryFolder(), 'other');
  const other = await scrambledFile(dirname(fixtureModel('mistral-ts-op17')), folder, 1);
  const runners = [fixtureModel('llama-ts-op17-sdpa'), other].map((file) => new StageRunner(loadModel(file), 1));
  expect((await likenesses(at(runners, 0), at(runners, 1))).size).toBe(0);
  expect((await likenesses(at(runners, 0), at(runners, 0))).size).toBe(0);
});

/** The mean KL divergence of a file with each of its products as they are in the reference, by block and part. */
async function restoredAlone(reference: string, model: string) {
  const sequences = [{ ids: Array.from({ length: 20 }, (_, i) => (7 * i) % 90), from: 1 }];
  const by = { what: 'file', model: fixtureModel(model) } as const;
  const asked = { ...budget, reference: fixtureModel(reference), by, sequences };
  const names: string[] = [];
  let without: number | undefined;
  for await (const event of follow(engine.run('restore', { ...asked, variants: [] })))
    if (event.type === 'products') {
      without = event.without;
      for (const { block, part, op } of event.products) names.push(`${block} ${part} ${op}`);
    }
  const kld = new Map<string, number>();
  for await (const event of follow(engine.run('restore', { ...asked, variants: names.map((_, i) => [i]) })))
    if (event.type === 'restored') for (const [name, value] of pairs(names, event.kld)) kld.set(name, value / 19);
  const swaps: number[] = [];
  for await (const event of follow(engine.run('pair', asked)))
    if (event.type === 'paired') for (const { restored } of event.swaps) swaps.push(restored / 19);
  return { kld, swaps, without };
}

it('an operator that holds experts is restored as one product, the only one of its block that is quantised', async () => {
  const families = ['moe', 'qmoe-int8'].map((one) => `../families/experts-${one}-ts-op17`);
  const { kld, swaps, without } = await restoredAlone(at(families, 0), at(families, 1));
  expect(without).toBe(0);
  for (const block of [1, 2]) {
    expect(off(kld.get(`${block} expert_in MoE`) ?? 0, at(swaps, block))).toBeLessThan(1e-3);
    // The router, beside it, is as it was.
    expect(off(kld.get(`${block} router MatMul`) ?? 0, at(swaps, 0))).toBeLessThan(1e-3);
  }
});

it.each(ranges)(
  '$name, whose products are rounded to ranges, is what ONNX Runtime makes of it without some',
  async ({ name, reference, ids, excluded }) => {
    const by = { what: 'file', model: path(`test/references/static/${name}.onnx`) } as const;
    const asked = { ...budget, reference: path(reference), by, sequences: [{ ids, from: 1 }] };
    const nodes: string[] = [];
    for await (const event of follow(engine.run('restore', { ...asked, variants: [] })))
      if (event.type === 'products') for (const { node } of event.products) nodes.push(node);
    const variants = excluded.map((one) => one.nodes.map((node) => nodes.indexOf(node)));
    for await (const event of follow(engine.run('restore', { ...asked, variants })))
      if (event.type === 'restored')
        for (const [kld, row] of pairs(event.kld, excluded))
          expect(off(kld / (ids.length - 1), row.kld), row.nodes.join()).toBeLessThan(2e-3);
  },
);

it('a product is restored with its bias where an operator after it adds that', async () => {
  const fused = await restoredAlone('gpt2-ort-attention-past', 'gpt2-int8-dynamic');
  const { kld } = await restoredAlone('gpt2-ts-op14', 'gpt2-int8-dynamic');
  // Those inside of the attention operator are counted.
  expect(fused.without).toBe(3);
  for (const block of [1, 2, 3])
    for (const part of ['attn_out', 'mlp_in'])
      expect(off(fused.kld.get(`${block} ${part} MatMul`) ?? 0, kld.get(`${block} ${part} Gemm`) ?? 0)).toBeLessThan(
        0.01,
      );
});

it('where there is no room for two, one output head is there at a time, made once for a part of the logits', async () => {
  const reference = fixtureModel('llama-ts-op17-sdpa');
  const loaded = loadModel(reference);
  const now = new Set<string>();
  let most = 0;
  const heads: string[] = [];
  const counting =
    (name: string): typeof createSession =>
    async (bytes, folder, options) => {
      const session = await createSession(bytes, folder, options);
      let isHead = false;
      return {
        async run(feeds) {
          const results = await session.run(feeds);
          if (results.has('logits') && !isHead) {
            isHead = true;
            heads.push(name);
            now.add(name);
            most = Math.max(most, now.size);
          }
          return results;
        },
        async release() {
          if (isHead) now.delete(name);
          await session.release();
        },
      };
    };
  const runners = {
    reference: new StageRunner(loaded, 1, counting('reference')),
    model: new StageRunner(simulate(loaded, schemes['int4-block32']), 1, counting('model')),
  };
  const sequences = [{ ids: Array.from({ length: 12 }, (_, i) => (7 * i) % 160), from: 1 }];
  const by = { what: 'scheme', scheme: 'int4-block32' } as const;
  await comparePair(runners, { ...budget, memory: 2e5, reference, by, sequences, alone: true }, async () => {});
  expect(heads).toEqual(['reference', 'model']);
  expect(most).toBe(1);
  for (const runner of Object.values(runners)) await runner.release();
});

it('rankings and four lists compute no more products than half a run for each block and each product of the worst three', async () => {
  const loaded = loadModel(fixtureModel('llama-ts-op17-sdpa'));
  let computed = 0;
  const counting: typeof createSession = async (bytes, folder, options) => {
    const session = await createSession(bytes, folder, options);
    // Operators of nodes, field 4: weights that lie in memory cannot be read as a model's.
    const products = Buffer.from(bytes).toString('latin1').split('\x22\x06MatMul').length - 1;
    const run: typeof session.run = (feeds, fetched) => {
      // What is made of weights alone is made once.
      if (feeds.size > 0) computed += products;
      return session.run(feeds, fetched);
    };
    return { ...session, run };
  };
  const counted = async (run: () => Promise<void>) => {
    computed = 0;
    await run();
    return computed;
  };
  const runners = {
    reference: new StageRunner(loaded, 1, counting),
    model: new StageRunner(simulate(loaded, schemes['int4-block32']), 1, counting),
  };
  const all = Array.from({ length: 3 }, (_, s) => {
    return { ids: Array.from({ length: 120 }, (_, i) => (7 * i + s) % 160), from: 1 };
  });
  const { some, rest } = rankedOn(all);
  expect(some).toHaveLength(1);
  const by = { what: 'scheme', scheme: 'int4-block32' } as const;
  const asked = { ...budget, reference: loaded.file, by };
  const single: number[][] = [];
  await restoreProducts(runners, { ...asked, sequences: all, variants: [] }, async (event) => {
    if (event.type === 'products')
      for (const [i, { part }] of event.products.entries()) if (part !== 'head') single.push([i]);
  });
  // Both models, as they are.
  const twice = await counted(() => comparePair(runners, { ...asked, sequences: all, parts: false }, async () => {}));
  const parts = await counted(() => comparePair(runners, { ...asked, sequences: some }, async () => {}));
  const others = await counted(() => comparePair(runners, { ...asked, sequences: rest, parts: false }, async () => {}));
  const inBlock = { ...asked, sequences: some, variants: single, inBlock: true };
  const products = await counted(() => restoreProducts(runners, inBlock, async () => {}));
  const variants = single.slice(0, 4);
  const lists = await counted(() => restoreProducts(runners, { ...asked, sequences: all, variants }, async () => {}));
  const { layers } = loaded.anatomy;
  const runs = (parts + others + products + lists) / (twice / 2);
  expect(runs).toBeGreaterThan(4);
  expect(runs).toBeLessThanOrEqual((layers + single.length) / 2);
});

it('sessions that are made for products that are restored serve all windows', async () => {
  const reference = fixtureModel('llama-ts-op17-sdpa');
  const loaded = loadModel(reference);
  const made = async (windows: number) => {
    let count = 0;
    const create: typeof createSession = (...given) => {
      count++;
      return createSession(...given);
    };
    const runners = {
      reference: new StageRunner(loaded, 1),
      model: new StageRunner(simulate(loaded, schemes['int4-block32']), 1, create),
    };
    const sequences = Array.from({ length: windows }, (_, s) => {
      return { ids: Array.from({ length: 12 }, (_, i) => (7 * i + s) % 160), from: 1 };
    });
    const by = { what: 'scheme', scheme: 'int4-block32' } as const;
    const asked = { ...budget, reference, by, sequences, variants: [[0], [4], [9]] };
    await restoreProducts(runners, asked, async () => {});
    return count;
  };
  expect(await made(3)).toBe(await made(1));
});

it('a Gemm, which takes matrices alone and adds the bias, is restored in a file that has the product of a tensor of more axes', async () => {
  const [reference, model] = [fixtureModel('gpt2-ts-op14'), fixtureModel('gpt2-ort-attention-past')];
  const sequences = [{ ids: Array.from({ length: 12 }, (_, i) => (7 * i) % 160), from: 1 }];
  const asked = { ...budget, reference, by: { what: 'file', model } as const, sequences };
  const variants: number[][] = [];
  for await (const event of follow(engine.run('restore', { ...asked, variants: [] })))
    if (event.type === 'products')
      for (const [i, { part }] of event.products.entries()) if (part.startsWith('mlp')) variants.push([i]);
  expect(variants).toHaveLength(6);
  const klds: number[] = [];
  for await (const event of follow(engine.run('restore', { ...asked, variants })))
    if (event.type === 'restored') klds.push(...event.kld);
  // Both compute the same, one with biases in its products and the other behind them.
  for (const kld of klds) expect(kld).toBeLessThan(1e-6);
});
