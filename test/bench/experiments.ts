/** What experiments cost: perplexity and interventions against plain runs, and the memory of a survey. */

import type { Intervention } from '../../src/engine/contract/interventions.js';
import type { Engine } from '../../src/engine/host/engine.js';
import { rankedOn } from '../../src/experiments/doctor/estimate.js';
import { type BenchModel, smol } from './models.js';

/** What the bench lends. */
export interface Tools {
  readonly threads: number;
  readonly rounds: number;
  engine(): Engine;
  worker(name: string, model: BenchModel, tokens: number): { run(): Promise<void>; end(): void };
  /** Seconds of every contender, by round; by default of all rounds. */
  takeTurns<Name extends string>(
    contenders: Record<Name, () => Promise<unknown>>,
    rounds?: number,
  ): Promise<Record<Name, readonly number[]>>;
  ratios(values: readonly number[], references: readonly number[]): number;
  /** Bytes. */
  peakMemory(pid: number | undefined): number | undefined;
}

const window = 256;
/** Has room for every session of the models here. */
const ample = 2 ** 32;
/** Has room for no model of which twice the size is more: nearly every real one. */
const tight = 2 ** 28;

const ids = (start: number, length: number) => Array.from({ length }, (_, i) => ((start + i) * 7919) % 30000);

const zero = (block: number, token: number): Intervention => ({
  point: 'resid_post',
  block,
  tokens: [token],
  dims: [447],
  set: { to: 'zero' },
});

/** Scores windows under the variants of these interventions. */
async function score(
  { threads }: Tools,
  engine: Engine,
  model: BenchModel,
  memory: number,
  windows: number,
  ...changes: (readonly Intervention[])[]
): Promise<void> {
  const variants = changes.map((interventions, i) => ({ name: `${i}`, interventions }));
  const sequences = Array.from({ length: windows }, (_, i) => ({ ids: ids(i * window, window), from: 1, variants }));
  for await (const event of engine.run('measure', { model: model.file, sequences, memory, threads }))
    if (event.type === 'failed') throw new Error(event.problem.message);
}

/** Reduces the states of sequences. */
async function survey(
  { threads }: Tools,
  engine: Engine,
  model: BenchModel,
  memory: number,
  count: number,
): Promise<void> {
  const sequences = Array.from({ length: count }, (_, i) => ids(i * window, window));
  for await (const event of engine.run('states', { model: model.file, sequences, memory, threads }))
    if (event.type === 'failed') throw new Error(event.problem.message);
}

/** Of a model's parameters, which the work goes by: those of the blocks after `block`, and of the output head. */
function restShare(block: number, blocks: number, blockParameters: number, headParameters: number): number {
  return ((blocks - block) * blockParameters + headParameters) / (blocks * blockParameters + headParameters);
}

const percent = (share: number) => `${(100 * share).toFixed(0)} %`;

/** Windows of GPT-2 small's shape, sessions kept, against plain runs with all logits over as many tokens. */
export async function experiments(tools: Tools, model: BenchModel) {
  const [windows, blocks, block] = [4, 12, 8];
  // One each, for an engine keeps the sessions of one way to run a model.
  const [engine, other] = [tools.engine(), tools.engine()];
  const bare = tools.worker('bare', model, window);
  const contenders = {
    bare: async () => {
      for (let i = 0; i < windows; i++) await bare.run();
    },
    plain: () => score(tools, engine, model, ample, windows, []),
    changed: () => score(tools, other, model, ample, windows, [], [zero(block, 0)]),
  };
  for (const contender of Object.values(contenders)) await contender();
  const times = await tools.takeTurns(contenders);
  engine.dispose();
  other.dispose();
  bare.end();
  const added = times.changed.map((both, round) => both - (times.plain[round] ?? Number.NaN));
  const share = tools.ratios(added, times.plain);
  return [
    {
      what: `perplexity, ${windows} windows of ${window}, against bare runs of them`,
      target: '1.10 ×',
      measured: `${tools.ratios(times.plain, times.bare).toFixed(2)} ×`,
    },
    {
      what: `intervention after block ${block} of ${blocks}, of a plain run (head and blocks after it × 1.1)`,
      target: percent(1.1 * restShare(block, blocks, 12 * 768 ** 2, 50257 * 768)),
      measured: percent(share),
    },
  ];
}

/**
 * The paper's interventions and a survey on SmolLM2-135M's shape, which the budget cannot hold: sequences go through
 * each block together.
 */
export async function tightBudget(tools: Tools, model: BenchModel) {
  const { layers, hidden, heads, kvHeads, wide, vocabulary } = smol;
  /** Bare runs are as long as one another, so a few stand for many. */
  const [windows, surveyed, few, block] = [32, 20, 8, 4];
  const engine = tools.engine();
  await engine.inspect(model.file);
  const itself = tools.peakMemory(engine.pid) ?? Number.NaN;
  const bare = tools.worker('bare', model, window);
  const everywhere = Array.from({ length: layers }, (_, i) => zero(i + 1, 0));
  const changes = [[], [zero(block, 0)], [zero(block, 1)], everywhere, [zero(block, 2)], [zero(block, 3)]];
  const contenders = {
    bare: async () => {
      for (let i = 0; i < few; i++) await bare.run();
    },
    perplexity: () => score(tools, engine, model, tight, windows, []),
    interventions: () => score(tools, engine, model, tight, few, ...changes),
    survey: () => survey(tools, engine, model, tight, surveyed),
  };
  await bare.run();
  const times = await tools.takeTurns(contenders, Math.min(3, tools.rounds));
  const peak = tools.peakMemory(engine.pid) ?? Number.NaN;
  engine.dispose();
  bare.end();
  const blockParameters = hidden * hidden * (2 + (2 * kvHeads) / heads) + 3 * hidden * wide;
  const headParameters = vocabulary * hidden;
  const shares = [0, block, block, 1, block, block].map((after) =>
    restShare(after, layers, blockParameters, headParameters),
  );
  const sum = shares.reduce((total, share) => total + share, 0);
  const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MB`;
  const bareRuns = (count: number) => times.bare.map((seconds) => (seconds * count) / few);
  const headless = surveyed * (1 - restShare(layers, layers, blockParameters, headParameters));
  const budget = megabytes(tight);
  return [
    {
      what: `${budget}: perplexity, ${windows} windows of ${window}, against bare runs of them`,
      target: '1.10 ×',
      measured: `${tools.ratios(times.perplexity, bareRuns(windows)).toFixed(2)} ×`,
    },
    {
      what: `${budget}: ${changes.length} interventions on ${few} windows, against bare runs (their blocks × 1.1)`,
      target: `${(1.1 * sum).toFixed(2)} ×`,
      measured: `${tools.ratios(times.interventions, times.bare).toFixed(2)} ×`,
    },
    {
      what: `${budget}: survey, ${surveyed} sequences of ${window}, against bare runs without their head`,
      target: '',
      measured: `${tools.ratios(times.survey, bareRuns(headless)).toFixed(2)} ×`,
    },
    {
      what: `${budget}: peak memory of the child beside its own ${megabytes(itself)} (budget, head twice: its copy is packed)`,
      target: megabytes(tight + 8 * headParameters),
      measured: megabytes(peak - itself),
    },
  ];
}

/**
 * The doctor on GPT-2 small's shape: parts of the model, then the products of three blocks, then the first lists, against
 * plain runs of the whole text; and its peak memory against that of scoring it.
 */
export async function ranking(tools: Tools, model: BenchModel) {
  const { threads } = tools;
  const [windows, blocks, worst, lists] = [3, 12, [1, 2, 3], 4];
  const [plain, doctor] = [tools.engine(), tools.engine()];
  const all = Array.from({ length: windows }, (_, i) => ({ ids: ids(i * window, window), from: 1 }));
  const { some: sequences, rest } = rankedOn(all);
  const by = { what: 'scheme', scheme: 'int4-block32' } as const;
  const asked = { reference: model.file, by, sequences, memory: tight, threads };
  const products: number[] = [];
  for await (const event of doctor.run('restore', { ...asked, variants: [] })) {
    if (event.type === 'failed') throw new Error(event.problem.message);
    if (event.type === 'products')
      for (const [i, { block }] of event.products.entries()) if (worst.includes(block)) products.push(i);
  }
  const run = async (type: 'pair' | 'restore', more: object) => {
    const request = { ...asked, variants: products.map((index) => [index]), ...more };
    for await (const event of doctor.run(type, request))
      if (event.type === 'failed') throw new Error(event.problem.message);
  };
  const diagnose = async () => {
    await run('pair', {});
    await run('pair', { sequences: rest, parts: false });
    await run('restore', { inBlock: true });
    // Of the first block, so that none costs more.
    await run('restore', { sequences: all, variants: products.slice(0, lists).map((index) => [index]) });
  };
  const times = await tools.takeTurns({ plain: () => score(tools, plain, model, tight, windows, []), diagnose }, 1);
  const [before, after] = [plain, doctor].map(({ pid }) => tools.peakMemory(pid) ?? Number.NaN);
  plain.dispose();
  doctor.dispose();
  const half = (blocks + products.length) / 2;
  const restOf = (block: number) => restShare(block, blocks, 12 * 768 ** 2, 50257 * 768);
  const headless = 1 - restOf(blocks);
  const afterEach = Array.from({ length: blocks }, (_, i) => restOf(i + 1));
  // Both models, each block on the other's state, what comes after each block, and the other's head.
  const parts = 2 * (1 + headless) + afterEach.reduce((total, share) => total + share, restOf(blocks));
  // Up to the last of the blocks; in each all products at once and one by one: to the product, and on from it.
  const inBlocks = ((Math.max(...worst) + worst.length + products.length) * headless) / blocks;
  /** @param tokens of a text in windows as these; where a window is cut, all are run again as they are */
  const walked = (tokens: number) => {
    const text = Array.from({ length: Math.ceil(tokens / (window - 1)) }, () => ({
      ids: Array.from({ length: Math.min(tokens + 1, window) }, () => 0),
      from: 1,
    }));
    const { some, cut } = rankedOn(text);
    const scored = (of: readonly (typeof text)[number][]) =>
      of.reduce((sum, { ids, from }) => sum + ids.length - from, 0);
    const share = scored(some) / scored(text);
    return share * (parts + inBlocks) + 2 * (cut ? 1 : 1 - share) + 1 + lists * restOf(0);
  };
  const counted = (tokens: number) => `${walked(tokens).toFixed(1)} ×`;
  return [
    {
      what: `doctor, ${blocks} blocks and ${products.length} products ranked on ${sequences.length} of ${windows} windows, ${lists} lists on all, against plain runs (half of one each)`,
      target: `${half.toFixed(1)} ×`,
      measured: `${tools.ratios(times.diagnose, times.plain).toFixed(1)} ×`,
    },
    {
      what: 'doctor, blocks and heads that this takes, in plain runs, of a text of 12, 4, 2 and 1 windows',
      target: `${half.toFixed(1)} ×`,
      measured: [12, 4, 2, 1].map((count) => counted(count * (window - 1))).join(', '),
    },
    {
      what: 'doctor, peak memory of the child against that of plain runs',
      target: '1.0 ×',
      measured: `${((after ?? Number.NaN) / (before ?? Number.NaN)).toFixed(2)} ×`,
    },
  ];
}

/** Peak memory of the child after a tenth of a survey, and after all of it. */
export async function surveyMemory(tools: Tools, model: BenchModel) {
  const peaks: (number | undefined)[] = [];
  for (const count of [10, 100]) {
    const engine = tools.engine();
    const sequences = Array.from({ length: count }, (_, i) => ids(i * 128, 128));
    const request = { model: model.file, sequences, memory: ample, threads: tools.threads };
    for await (const event of engine.run('states', request)) {
      if (event.type === 'failed') throw new Error(event.problem.message);
      if (event.type === 'states' && event.sequence === count - 1) peaks.push(tools.peakMemory(engine.pid));
    }
    engine.dispose();
  }
  const [few = Number.NaN, many = Number.NaN] = peaks;
  return [
    {
      what: 'survey, peak memory of 100 sequences against 10',
      target: '1.05 ×',
      measured: `${(many / few).toFixed(2)} × (${(many / 1e9).toFixed(2)} GB)`,
    },
  ];
}
