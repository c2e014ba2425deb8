/** What changes inside a block lead to, told from the model's own sums. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Intervention, Point } from '../../../src/engine/contract/interventions.js';
import { makeFeeds } from '../../../src/engine/inputs/feeds.js';
import { forward, type Lane } from '../../../src/engine/stages/forward.js';
import { loadModel } from '../../../src/engine/stages/loaded.js';
import { runPatched, valueAt } from '../../../src/engine/stages/patched.js';
import { makePlan, type Stage } from '../../../src/engine/stages/plan.js';
import { StageRunner } from '../../../src/engine/stages/runner.js';
import { filled, floats, rowsOf, type Value, type Values } from '../../../src/engine/tensors/value.js';
import { fixture } from '../../support/files.js';
import { found, pairs } from '../../support/lists.js';

const block = 3;
const loaded = loadModel(fixture('llama-ts-op17-sdpa').model);
const { anatomy, model } = loaded;
const runner = new StageRunner(loaded, 1);
const name = (point: Point, of = block) => valueAt(loaded, point, of);
const inner = [name('attn_out'), name('resid_mid'), name('mlp')];
const plan = makePlan(model.graph, anatomy, new Map([[block, inner]]), []);
const stage = found(plan.stages, ({ first }) => first === block);

/** What the block is given, and what it gives as it is. */
let before: Values;
let plain: Values;
beforeAll(async () => {
  const ids = Array.from({ length: 12 }, (_, i) => (i * 37) % 150);
  const lane: Lane = { values: new Map(makeFeeds(anatomy.inputs, new Map(), ids).values), interventions: [] };
  const stages = plan.stages.filter(({ last }) => last < block);
  for await (const _ of forward(runner, { plan, stages, keep: false, lasting: stage.inputs }, [lane]));
  before = new Map(lane.values);
  plain = await runner.run(stage, before, false);
});

const change = (point: Point, set: Intervention['set'], more: Partial<Intervention> = {}): Intervention => ({
  point,
  block,
  tokens: 'all',
  dims: 'all',
  set,
  ...more,
});
const patched = (interventions: readonly Intervention[], instead?: Values, of: Stage = stage) =>
  runPatched(runner, plan, of, before, interventions, false, instead);
const at = (values: Values, name: string): Float32Array => {
  const value = values.get(name);
  if (!value) throw new Error(`${name} is not there`);
  return floats(value);
};
/** Largest difference, against the largest magnitude. */
const off = (one: Float32Array, other: Float32Array) =>
  Math.max(...pairs(one, other).map(([a, b]) => Math.abs(a - b))) / Math.max(...other.map(Math.abs));

describe('a change inside a block', () => {
  it('to nothing that attention adds leaves the stream as it came', async () => {
    const results = await patched([change('attn_out', { to: 'zero' })]);
    expect(at(results, name('attn_out')).every((x) => x === 0)).toBe(true);
    expect(off(at(results, name('resid_mid')), at(before, name('resid_post', block - 1)))).toBe(0);
    expect(off(at(results, name('resid_post')), at(plain, name('resid_post')))).toBeGreaterThan(1e-3);
  });

  it('to nothing in the MLP leaves what attention made', async () => {
    // This model's MLP has no bias.
    const results = await patched([change('mlp', { to: 'zero' })]);
    expect(off(at(results, name('resid_post')), at(plain, name('resid_mid')))).toBe(0);
  });

  it('is made in the order in which the block computes, whatever the order it is asked in', async () => {
    const changes = [change('mlp', { to: 'zero' }), change('attn_out', { to: 'scale', by: 2 })];
    const [one, other] = [await patched(changes), await patched(changes.toReversed())];
    const [h, added] = [at(before, name('resid_post', block - 1)), at(plain, name('attn_out'))];
    const expected = h.map((x, i) => x + 2 * (added[i] ?? Number.NaN));
    for (const results of [one, other]) expect(off(at(results, name('resid_post')), expected)).toBeLessThan(1e-6);
  });

  it('at its end is of the chosen entries alone', async () => {
    const results = await patched([change('resid_post', { to: 'value', value: 7 }, { tokens: [2], dims: [5] })]);
    const { dims } = rowsOf(results.get(name('resid_post')) as Value);
    const expected = at(plain, name('resid_post')).slice();
    expected[2 * dims + 5] = 7;
    expect(at(results, name('resid_post'))).toEqual(expected);
  });

  it('of another block is not made here', async () => {
    const other = await patched([change('mlp', { to: 'zero' }, { block: block - 1 })]);
    expect(at(other, name('resid_post'))).toEqual(at(plain, name('resid_post')));
  });
});

it('what is given instead is taken as it is, and what came before it is not needed', async () => {
  const { type, dims } = plain.get(name('attn_out')) as Value;
  const nothing = new Map([[name('attn_out'), filled(type, dims, () => 0)]]);
  const zeroed = await patched([change('attn_out', { to: 'zero' })]);
  const results = await patched([], nothing);
  for (const point of ['attn_out', 'resid_mid', 'resid_post'] as const)
    expect(at(results, name(point)), point).toEqual(at(zeroed, name(point)));
});
