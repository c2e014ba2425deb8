import { expect, it } from 'vitest';
import { bytesOfAll, type DoctorResult } from '../../../src/experiments/doctor/compute.js';
import { doctorConclusion, isVoid } from '../../../src/experiments/doctor/conclusion.js';
import { estimateOf, rankedOn } from '../../../src/experiments/doctor/estimate.js';
import { type Measured, type Search, searchList } from '../../../src/experiments/doctor/list.js';
import { presentDoctor, soughtNamesOf } from '../../../src/experiments/doctor/present.js';
import { smoothingOf } from '../../../src/experiments/doctor/remedies.js';
import { prefixOf } from '../../../src/experiments/shared/prefix.js';
import { at } from '../../support/lists.js';

/** A model whose products lose so much each, but for pairs of which one mends what the other would. */
function searchOf(
  losses: readonly number[],
  same: readonly (readonly [number, number])[],
  options: Partial<Search> = {},
) {
  const asked: number[][] = [];
  const kldOf = (list: readonly number[]) => {
    const kept = new Set(list);
    for (const [one, other] of same) if (kept.has(one)) kept.add(other);
    return losses.reduce((sum, loss, i) => (kept.has(i) ? sum : sum + loss), 0);
  };
  const measured = (kld: number): Measured => ({ kld, perplexity: Math.exp(kld) });
  const search: Search = {
    choices: losses.map((_, i) => ({ indices: [i], restored: kldOf([i]), found: measured(kldOf([i])) })),
    kld: kldOf([]),
    aim: 0.5,
    most: 100,
    async *measure(lists) {
      yield { phase: 'trying', done: 0, of: 1 };
      for (const list of lists) asked.push([...list]);
      return lists.map((list) => measured(kldOf(list)));
    },
    ...options,
  };
  return { search, asked };
}

async function searched(search: Search) {
  const run = searchList(search);
  for (;;) {
    const step = await run.next();
    if (step.done) return step.value;
  }
}

it('the next product is the one that gains most beside those that are kept, not by itself', async () => {
  // Kept alone, 0 and 1 gain most; but 0 mends 1 as well.
  const { search, asked } = searchOf(
    [3, 3, 2, 1],
    [
      [0, 1],
      [1, 0],
    ],
  );
  const { steps, bounded } = await searched(search);
  expect(steps.map(({ list }) => list)).toEqual([[0], [0, 2], [0, 2, 3]]);
  expect(steps.map(({ kld }) => kld)).toEqual([3, 1, 0]);
  expect(bounded).toBe(false);
  // Nothing is measured for the first, whose gains are known.
  expect(at(asked, 0)).toEqual([0, 1]);
});

it('what it may measure is bounded, and then the order that is known goes on', async () => {
  const { search, asked } = searchOf([4, 3, 2, 1], [], { most: 3, aim: 0 });
  const { steps, bounded } = await searched(search);
  expect(bounded).toBe(true);
  expect(steps.map(({ list }) => list)).toEqual([[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]);
  expect(asked.filter((list) => list.length === 2)).toHaveLength(3);
});

it('a block counts by its products, and an aim that is reached ends it', async () => {
  const { search } = searchOf([3, 2, 2, 2], [], { aim: 6.5 });
  const choices = [at(search.choices, 0), { indices: [1, 2, 3], restored: 3 }];
  const { steps } = await searched({ ...search, choices });
  expect(steps.map(({ list }) => list)).toEqual([[0]]);
});

it('where nothing but one product makes numbers of it, that is kept first', async () => {
  const { search } = searchOf([1, 1], []);
  const measure = async function* (lists: readonly (readonly number[])[]) {
    yield { phase: 'trying', done: 0, of: 1 };
    return lists.map((list) => ({ kld: list.includes(1) ? 0.1 : Number.NaN, perplexity: 1 }));
  };
  const choices = [Number.NaN, 0.1].map((restored, i) => {
    return { indices: [i], restored, found: { kld: restored, perplexity: 1 } };
  });
  const { steps } = await searched({ ...search, choices, kld: Number.NaN, measure, aim: Number.MAX_VALUE });
  expect(steps).toEqual([{ list: [1], kld: 0.1, perplexity: 1 }]);
});

it('what was only estimated to gain most is measured before it is chosen', async () => {
  const { search, asked } = searchOf([3, 2, 1], [], { aim: 3.5 });
  // The second is thought to gain more than it does.
  const choices = [3, 1, 5].map((restored, i) => ({ indices: [i], restored }));
  const { steps } = await searched({ ...search, choices });
  expect(steps.map(({ list }) => list)).toEqual([[0]]);
  expect(asked).toEqual([[1], [0], [2]]);
});

it('a product gains the share of what its block gains that its noise is of the block’s', () => {
  const around = { restored: 1, kld: 5 };
  expect(estimateOf(around, { left: 0, whole: 8 })).toBe(1);
  expect(estimateOf(around, { left: 6, whole: 8 })).toBe(4);
  // More noise is no gain, and a block without noise nothing to gain.
  expect(estimateOf(around, { left: 9, whole: 8 })).toBe(5);
  expect(estimateOf(around, { left: 0, whole: 0 })).toBe(5);
  // Where the block overflows, what mends it gives all that the block gives.
  expect(estimateOf(around, { left: 2, whole: Number.NaN })).toBe(1);
  expect(estimateOf({ restored: 1, kld: Number.NaN }, { left: Number.NaN, whole: Number.NaN })).toBeNaN();
});

it('parts are ranked on a third of a text, windows from all over it, and on no more than a thousand tokens', () => {
  const windows = Array.from({ length: 40 }, (_, s) => ({ ids: Array.from({ length: 257 }, () => s), from: 1 }));
  const taken = (count: number) => rankedOn(windows.slice(0, count)).some.map(({ ids }) => ids[0]);
  expect([3, 6, 12, 40].map(taken)).toEqual([[0], [0, 3], [0, 3, 6, 9], [0, 10, 20, 30]]);
  const { rest, cut } = rankedOn(windows.slice(0, 6));
  expect(rest.map(({ ids }) => ids[0])).toEqual([1, 2, 4, 5]);
  expect(cut).toBe(false);
});

it('a text of which a third is no window has its parts ranked on the beginning of one, and counts as it is', () => {
  const windows = [0, 1].map((s) => ({ ids: Array.from({ length: 257 }, () => s), from: 1 }));
  const two = rankedOn(windows);
  expect(two.some.map(({ ids, from }) => ids.length - from)).toEqual([171]);
  expect(two).toMatchObject({ rest: windows, cut: true });
  // Fewer than a hundred tokens tell little.
  expect(rankedOn(windows.slice(0, 1)).some[0]?.ids).toHaveLength(101);
  const short = [{ ids: Array.from({ length: 64 }, (_, i) => i), from: 1 }];
  expect(rankedOn(short)).toEqual({ some: short, rest: [], cut: false });
});

it('a prefix has the most frequent tokens that stand out, as many as in the block that has most of them', () => {
  const pieces = [
    [0, 7, 5, 9],
    [0, 5, 8, 5],
  ];
  // By piece and block: mean counts are 1 and 2.5, so that three are taken, the first token last.
  const outliers = [
    [[0], [0, 2]],
    [[0], [0, 1, 3]],
  ];
  const found = { means: [1, 2.5], count: 3, frequent: [{ id: 5, count: 3 }], first: 2, chosen: [5, 0] };
  expect(prefixOf({ pieces, outliers, prefix: 0 })).toEqual(found);
  expect(prefixOf({ pieces, outliers, prefix: undefined })).toEqual(found);
  expect(prefixOf({ pieces, outliers: [[[]], [[]]], prefix: 0 })).toMatchObject({ count: 0, chosen: [] });
});

it('factors are the equation of the paper, and nothing is divided by nothing', () => {
  const input = {
    tensor: 'x',
    block: 1,
    foldable: true,
    dimMin: Float32Array.of(-16, 0),
    dimMax: Float32Array.of(4, 0),
    weightMax: Float32Array.of(0.25, 0),
  };
  const [smooth, ...others] = smoothingOf({ inputs: [input, { ...input, tensor: 'y', foldable: false }] }, 0.5);
  expect(others).toEqual([]);
  expect(smooth?.factors[0]).toBeCloseTo(8, 6);
  expect(smooth?.factors[1]).toBeCloseTo(1, 6);
});

it('a remedy of a broken model is void', () => {
  const perplexity = { reference: { perplexity: 10 } } as Parameters<typeof isVoid>[0]['perplexity'];
  const result = { perplexity };
  expect([99, 101, Number.NaN].map((value) => isVoid(result, { perplexity: value }))).toEqual([false, true, true]);
});

it('a Gemm is to be excluded by the name that it has once it was turned into a MatMul, too', () => {
  const products = [
    { node: '/q/MatMul', op: 'MatMul' },
    { node: '/fc/Gemm', op: 'Gemm' },
    { node: '', op: 'Gemm' },
  ];
  expect(soughtNamesOf({ products })).toEqual(['/q/MatMul', '/fc/Gemm', '/fc/Gemm_MatMul']);
});

/** Of a model of one block with `of` products, as many of them kept as the list has. */
const resultOf = (of: number, list: number, more: object = {}) => {
  const products = Array.from({ length: list }, (_, i) => ({ node: `/${i}/MatMul`, part: 'head', block: 2 }));
  const chosen = { products, bytes: 4, kld: 0, perplexity: 10 };
  const measured = { perplexity: 10, tokens: 93 };
  return {
    model: 'a/model.onnx',
    by: { what: 'scheme', scheme: 'int4-block32' },
    layers: 1,
    windows: { sequences: [], window: 32, stride: 31, prefix: undefined, left: 0, lost: 0, asked: undefined },
    ranked: 93,
    aim: 0.005,
    kld: { mean: 0.02, median: 0.02, p99: 0.02, max: 0.02 },
    sqnr: [],
    swap: [],
    massive: [],
    perplexity: { reference: measured, model: measured },
    blocks: [],
    products: [],
    of,
    without: 0,
    computed: 0,
    saturating: false,
    curve: [chosen],
    chosen,
    bounded: false,
    remedies: [],
    untried: [],
    calibrated: undefined,
    undone: [],
    ...more,
  } as unknown as DoctorResult;
};

it('a list of all that is quantised is said to be that', () => {
  expect(doctorConclusion(resultOf(1, 1))).toMatch(
    /\(\/0\/MatMul\) brings that to 0, but that is all that is quantised\.$/,
  );
  expect(doctorConclusion(resultOf(4, 1))).toMatch(/Excluding one product of 4 \(\/0\/MatMul\) brings that to 0\.$/);
});

it('what a scheme leaves no room for is a condition, said once for each reason, and no warning', () => {
  const why = 'int4-block32 rounds weights alone';
  const names = ['tokens', 'prefix', 'smooth'] as const;
  const { settings, warnings } = presentDoctor(resultOf(4, 1, { untried: names.map((name) => ({ name, why })) }), {
    text: { name: 'text.md', text: '' },
  });
  expect(settings.filter(({ name }) => name === 'not tried')).toEqual([
    {
      name: 'not tried',
      value:
        'keep tokens in float, begin with a fixed prefix, smooth activations into weights (int4-block32 rounds weights alone)',
    },
  ]);
  expect(warnings).toEqual([]);
});

it('of a list of all there is no longer one', () => {
  const chosen = { ...resultOf(1, 1).chosen, kld: 3e-12 };
  const told = doctorConclusion(resultOf(1, 1, { aim: 0, chosen, curve: [resultOf(1, 1).chosen] }));
  expect(told).toMatch(
    /The aim of 0 cannot be reached by excluding products: the best that was found, one product of 1,/,
  );
});

it('a weight that products share is counted once', () => {
  const product = (weight: string) => ({ weights: [weight], bytes: 10 });
  expect(bytesOfAll([product('a'), product('b'), product('a')])).toBe(20);
});
