/**
 * Statistics in the graph on a graphics card: what they cost beside a plain run that fetches one row of h_L, and whether
 * they are those of the states. `node tools/gpu/run.mjs statistics` builds and starts it, here or in a
 * packed folder on a machine with a card. Nothing here is a test.
 */
import '../../src/engine/stages/telemetry.js';

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Provider } from '../../src/engine/contract/device.js';
import { runAnalysis } from '../../src/engine/jobs/analyze.js';
import { type LoadedModel, loadModel } from '../../src/engine/stages/loaded.js';
import { Placement } from '../../src/engine/stages/placement.js';
import { makePlan, type Stage } from '../../src/engine/stages/plan.js';
import { Providers } from '../../src/engine/stages/providers.js';
import { JoinedParts, Reducing } from '../../src/engine/stages/reduced/reducing.js';
import { type ReducedStage, reachOf, reducedStages } from '../../src/engine/stages/reduced/stages.js';
import { stateNodes, statesFed, statesIn } from '../../src/engine/stages/reduced/states.js';
import { StageRunner } from '../../src/engine/stages/runner.js';
import { createSession } from '../../src/engine/stages/session.js';
import { patternOf } from '../../src/engine/tensors/patterns.js';
import { floats, rowsOf, type Value, type Values } from '../../src/engine/tensors/value.js';
import { encodeModel } from '../../src/onnx/encode.js';
import { DataType } from '../../src/onnx/model.js';
import { hiddenStatistics } from '../../src/statistics/hidden.js';
import { patternStatistics } from '../../src/statistics/pattern.js';
import { uniform } from '../../src/statistics/random.js';
import type { HiddenStatistics } from '../../src/statistics/statistics.js';
import { writeModels } from './models.js';
import { part, sitting, table } from './printed.js';

const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'webgpu' },
    models: { type: 'string', default: 'gpt2,llama' },
    tokens: { type: 'string', default: '128,512' },
    rounds: { type: 'string', default: '9' },
  },
});
const provider = options.device as Provider;
const rounds = Number(options.rounds);

async function main(): Promise<void> {
  console.log(`${sitting()}, ${provider}\n`);
  await part('Hostile states', hostile);
  const folder = await mkdtemp(join(tmpdir(), 'sinkscope-statistics-'));
  try {
    const models = writeModels(folder);
    for (const name of ['gpt2', 'llama'] as const) {
      if (!options.models.split(',').includes(name)) continue;
      const loaded = loadModel(models[name].file);
      for (const tokens of options.tokens.split(',').map(Number))
        await part(`${name}, T = ${tokens}`, async () => {
          const bench = new Bench(loaded, tokens);
          if (name === 'gpt2') await bench.checked();
          await bench.timed();
          await bench.end();
        });
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Ties, zeros, what is not finite, tiny and huge numbers: each field as the kernel has it, or left to it. */
async function hostile(): Promise<void> {
  const [tokens, dims] = [40, 24];
  const random = uniform(7);
  const filled = (element: (i: number) => number) => Float32Array.from({ length: tokens * dims }, (_, i) => element(i));
  const plain = () => (random() - 0.5) * 2 ** (40 * random() - 20);
  const cases: Readonly<Record<string, Float32Array>> = {
    random: filled(plain),
    ties: filled((i) => (i % 3 === 0 ? -7 : plain() / 2 ** 20)),
    'all the same': filled(() => -2),
    zeros: filled(() => 0),
    'mostly zeros': filled((i) => (i % 5 === 0 ? plain() : 0)),
    'next to each other': filled((i) => 1 + (i % 7) * 2 ** -23),
    halves: filled(() => Math.round(random() * 2048) / 1024),
    NaN: filled((i) => (i === 100 ? Number.NaN : plain())),
    infinity: filled((i) => (i === 100 ? Number.POSITIVE_INFINITY : plain())),
    huge: filled((i) => (i === 100 ? 1e30 : plain())),
    tiny: filled(() => (random() - 0.5) * 1e-30),
    'denormal, which cards take for zero': filled((i) => (i === 0 ? 1 : (random() - 0.5) * 1e-39)),
  };
  const rows: string[][] = [];
  for (const [name, data] of Object.entries(cases)) {
    const build = new Reducing('r/', 17, 256);
    const joined = build.joined(stateNodes(build, ['h'], dims));
    const fed = new Map<string, Value>([
      ['h', { type: DataType.float, dims: [1, tokens, dims], data }],
      ...statesFed({ tokens, dims }, 17),
    ]);
    const results = await run(build, fed, [joined]);
    const [found] = statesIn(new JoinedParts(floats(results.get(joined) as Value)), 1, { tokens, dims }, 17);
    rows.push([name, found ? differing(found, hiddenStatistics(data, tokens, dims)) : 'left to the kernel']);
  }
  table(['states', 'differ in'], rows);
}

async function run(build: Reducing, fed: Values, outputs: readonly string[]): Promise<Values> {
  const graph = {
    name: 'reduced',
    nodes: build.nodes,
    inputs: [...fed].map(([name, { type, dims }]) => ({ name, type, shape: dims.map(() => null) })),
    outputs: outputs.map((name) => ({ name })),
    initializers: new Map(),
    valueInfo: new Map(),
  };
  const bytes = encodeModel({ irVersion: 8, opsets: new Map([['', 17]]), graph }, '/');
  const session = await createSession(bytes, '/', { prepack: false, threads: 0, provider });
  try {
    return await session.run(fed);
  } finally {
    await session.release();
  }
}

/** Which fields are not to the bit those of the kernel; norms may be 1e-6 off. */
function differing(found: HiddenStatistics, expected: HiddenStatistics): string {
  const fields = ['median', 'tokenMax', 'tokenMaxDim', 'dimMax', 'top'] as const;
  const off = fields.flatMap((field) => {
    const [one, other] = [found[field], expected[field]].map((value) => JSON.stringify(value));
    if (one === other) return [];
    return field === 'median' ? [`median (${found.median} for ${expected.median})`] : [field];
  });
  const norm = found.tokenNorm.reduce((worst, one, i) => {
    const want = expected.tokenNorm[i] ?? 0;
    return Math.max(worst, want === 0 ? Math.abs(one) : Math.abs(one / want - 1));
  }, 0);
  if (!(norm <= 1e-6)) off.push(`tokenNorm (${norm.toExponential(0)})`);
  return off.join(', ') || '–';
}

class Bench {
  private readonly runner: StageRunner;
  private readonly feeds: Values;
  private readonly plan;

  constructor(
    private readonly loaded: LoadedModel,
    private readonly tokens: number,
  ) {
    // Believed without a look at the first block.
    const proofs = new Map([[`${provider} `, { difference: 0, tolerance: 1, elsewhere: [] }]]);
    const known = { providers: new Providers(), proofs, model: '', quantised: false, half: false };
    const placement = new Placement(provider, { provider }, known, ({ why }) => console.log(`${why}\n`));
    this.runner = new StageRunner(loaded, 0, undefined, placement);
    const ids = BigInt64Array.from({ length: tokens }, (_, i) => BigInt((i * 7919) % 30000));
    this.feeds = new Map([['input_ids', { type: DataType.int64, dims: [1, tokens], data: ids }]]);
    const { anatomy, model } = loaded;
    this.plan = makePlan(model.graph, anatomy, new Map(), [anatomy.unembedding?.logits ?? '']);
  }

  end = () => this.runner.release();

  private reduced(ends: readonly number[], attention: boolean): readonly ReducedStage[] {
    const dims = this.loaded.anatomy.hidden ?? 0;
    const wanted = { tokens: this.tokens, dims, attention, taps: new Map(), proves: false };
    return reducedStages(this.loaded, this.plan, ends, wanted);
  }

  /** Everything up to h_L, of which the last row is fetched. */
  private plain(): Stage {
    const build = new Reducing('sinkscope/row/', 17, 1);
    const last = this.loaded.anatomy.blocks.at(-1)?.residPost ?? '';
    const row = build.slice(last, 1, -1, 2 ** 31 - 1);
    const whole = { first: 0, last: this.loaded.anatomy.layers, inputs: ['input_ids'], outputs: [row] };
    return { ...whole, more: build.nodes };
  }

  /** One stage with states' statistics alone, without some of them. */
  private without(parts: string, isKept: (part: number) => boolean): Stage {
    const { anatomy } = this.loaded;
    const extents = { tokens: this.tokens, dims: anatomy.hidden ?? 0 };
    const build = new Reducing(`sinkscope/without-${parts}/`, 17, reachOf(this.tokens));
    const states = [anatomy.embedding, ...anatomy.blocks.map(({ residPost }) => residPost)];
    const made = stateNodes(build, states, extents.dims).filter((_, i) => isKept(i));
    const fed = statesFed(extents, 17);
    for (const [name, value] of fed) this.fed.set(name, value);
    return {
      first: 0,
      last: anatomy.layers,
      inputs: ['input_ids', ...fed.keys()],
      outputs: [build.joined(made), anatomy.blocks.at(-1)?.residPost ?? ''],
      more: build.nodes,
    };
  }

  private readonly fed = new Map<string, Value>();

  private async through(stages: readonly (Stage | ReducedStage)[]): Promise<number> {
    const values = new Map([...this.feeds, ...this.fed]);
    const start = performance.now();
    let first: number | undefined;
    for (const stage of stages) {
      if ('fed' in stage) for (const [name, value] of stage.fed) values.set(name, value);
      const results = await this.onCard(stage, values);
      if ('told' in stage) stage.told(results);
      first ??= performance.now() - start;
      for (const [name, value] of results) values.set(name, value);
    }
    this.first = first ?? 0;
    return performance.now() - start;
  }

  private first = 0;

  private get isSmall(): boolean {
    return this.loaded.summary.bytes < 6e9;
  }

  /** Kept; a stage that gives no hidden state is one of a card's as well. */
  private onCard(stage: Stage, values: Values): Promise<Values> {
    return this.runner.run(stage, values, true);
  }

  async timed(): Promise<void> {
    const { layers } = this.loaded.anatomy;
    const shares: number[] = [];
    const kept = this.reduced([1, layers], false);
    const sinks = this.reduced([1, layers], true);
    const one = this.reduced([layers], false);
    const oneWithSinks = this.reduced([layers], true);
    const ways: Readonly<Record<string, readonly Stage[]>> = {
      'plain, one row of h_L': [this.plain()],
      'statistics, first block by itself': kept,
      'and sinks': sinks,
      'one stage, without medians': [this.without('medians', (part) => part < 4 || part > 8)],
      // Each has its weights on the card.
      ...(this.isSmall && {
        'statistics, one stage': one,
        'one stage, and sinks': oneWithSinks,
        'one stage, without medians and rows': [this.without('medians, rows', (part) => part < 4)],
        'one stage, maxima by token and norms alone': [this.without('all but maxima and norms', (part) => part < 2)],
      }),
    };
    const times = new Map<string, number[]>();
    const broken = new Map<string, string>();
    for (let round = -2; round < rounds; round++)
      for (const [name, stages] of Object.entries(ways)) {
        if (broken.has(name)) continue;
        try {
          const time = await this.through(stages);
          if (round < 0) continue;
          times.set(name, [...(times.get(name) ?? []), time]);
          if (stages === kept) shares.push(this.first / time);
        } catch (error) {
          broken.set(name, error instanceof Error ? error.message : String(error));
        }
      }
    const base = median(times.get('plain, one row of h_L') ?? []);
    table(
      ['', 'ms', 'ratio'],
      Object.keys(ways).map((name) => {
        const time = median(times.get(name) ?? []);
        return [name, time.toFixed(1), broken.get(name) ?? `${(time / base).toFixed(2)} ×`];
      }),
    );
    console.log(`\nFirst numbers after ${(100 * median(shares)).toFixed(0)} % of the statistics.`);
    await this.whole(base);
  }

  /** The product's own run, sessions kept, output head and all. */
  private async whole(base: number): Promise<void> {
    const ids = Array.from({ length: this.tokens }, (_, i) => (i * 7919) % 30000);
    for (const attention of [false, true]) {
      const used = { loaded: this.loaded, runner: this.runner, remark: undefined, runs: 1, edited: undefined };
      const request = { model: this.loaded.file, prompt: { ids }, attention, memory: 2 ** 36, threads: 0 };
      const [wholes, firsts]: [number[], number[]] = [[], []];
      for (let round = -2; round < rounds; round++) {
        const start = performance.now();
        let first: number | undefined;
        await runAnalysis(used, request, async ({ type }) => {
          if (type === 'layer') first ??= performance.now() - start;
        });
        if (round < 0) continue;
        wholes.push(performance.now() - start);
        firsts.push(first ?? Number.NaN);
      }
      const [whole, first] = [median(wholes), median(firsts)];
      console.log(
        `\nA whole analysis${attention ? ' with sinks' : ''}, predictions and all: ${whole.toFixed(1)} ms, ${(whole / base).toFixed(2)} × the plain run; first numbers after ${first.toFixed(1)} ms, ${((100 * first) / whole).toFixed(0)} %.`,
      );
    }
  }

  /** Statistics and the states and patterns themselves, of one run. */
  async checked(): Promise<void> {
    const { anatomy, patterns } = this.loaded;
    const rows: string[][] = [];
    for (const stage of this.reduced([1, anatomy.layers], true)) {
      const residuals = [anatomy.embedding, ...anatomy.blocks.map(({ residPost }) => residPost)];
      const blocks = [...residuals.keys()].filter((block) => block >= stage.first && block <= stage.last);
      const names = blocks.flatMap((block) => [residuals[block] ?? [], patterns.get(block) ?? []]).flat();
      const outputs = [...new Set([...stage.outputs, ...names])];
      const values = new Map([...this.feeds, ...this.carried, ...stage.fed]);
      const results = await this.onCard({ ...stage, outputs }, values);
      for (const [name, value] of results) this.carried.set(name, value);
      const told = stage.told(results);
      for (const block of blocks) {
        const state = results.get(residuals[block] ?? '');
        const found = told.states.get(block);
        if (!state) continue;
        const { tokens, dims } = rowsOf(state);
        const expected = hiddenStatistics(floats(state), tokens, dims);
        const sinks = told.patterns.get(block);
        const pattern = results.get(patterns.get(block) ?? '');
        let alpha = '–';
        if (sinks && pattern) {
          const { heads, queries, keys, values } = patternOf(pattern);
          const want = patternStatistics(values, heads, queries, keys);
          alpha = sinks.alpha
            .reduce((worst, one, i) => Math.max(worst, Math.abs(one - (want.alpha[i] ?? Number.NaN))), 0)
            .toExponential(0);
          if (want.causal !== sinks.causal) alpha += ', not as causal';
        }
        rows.push([`h_${block}`, found ? differing(found, expected) : 'left to the kernel', alpha]);
      }
    }
    table(['', 'differs in', 'alpha off by'], rows);
    console.log('');
    await this.runner.release();
  }

  private readonly carried = new Map<string, Value>();
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

void main();
