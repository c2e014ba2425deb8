/**
 * The figures that the project promises, as ratios of runs that take turns. `npm run bench [-- --threads N --only warm|cold|memory|large|experiments|survey|budget|ranking|live|backward|panel|recognition|code|against]`;
 * nothing here is a test: a busy machine gives other numbers.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { RunRequest } from '../../src/engine/contract/events.js';
import { Engine } from '../../src/engine/host/engine.js';
import { backward, backwardMemory } from './backward.js';
import { experiments, ranking, surveyMemory, type Tools, tightBudget } from './experiments.js';
import { live } from './live.js';
import { type BenchModel, writeCached, writeLarge, writeModels } from './models.js';
import { peakMemory } from './printed.js';

const { values: options } = parseArgs({
  options: {
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '7' },
    only: { type: 'string' },
    // Nothing is measured: the model with a cache is written into this folder.
    write: { type: 'string' },
  },
});
const threads = Number(options.threads);
const rounds = Number(options.rounds);
/** Where the bundles of this bench and of the engine's child are. */
const folder = __dirname;

interface Figure {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
}

async function main(): Promise<void> {
  if (options.write !== undefined) {
    writeCached(options.write);
    return;
  }
  const temporary = await mkdtemp(join(tmpdir(), 'sinkscope-bench-'));
  try {
    const { gpt2, llama, smol } = writeModels(temporary);
    console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${threads || 'all'} threads, ${rounds} rounds\n`);
    // Each part gives lines of the table; what the panel costs is measured in a browser and belongs here as well.
    const parts: Record<string, () => Promise<Figure[]>> = {
      warm: () => warm(gpt2),
      'cold-128': () => cold(gpt2, 128),
      'cold-1024': () => cold(gpt2, 1024),
      memory: () => memory(llama),
      large: () => large(temporary),
      experiments: () => experiments(tools, gpt2),
      survey: () => surveyMemory(tools, gpt2),
      budget: () => tightBudget(tools, smol),
      ranking: () => ranking(tools, gpt2),
      live: () => live(tools, writeCached(temporary), gpt2),
      backward: async () => [...(await backward(tools, gpt2)), ...(await backwardMemory(tools, llama))],
    };
    const figures: Figure[] = [];
    for (const [name, part] of Object.entries(parts)) {
      if (options.only === undefined || name.startsWith(options.only)) figures.push(...(await part()));
    }
    table(figures);
  } finally {
    await rm(temporary, { recursive: true });
  }
}

/** GPT-2 small's shape, T = 512, everything loaded and run before. */
async function warm(model: BenchModel): Promise<Figure[]> {
  // One each, for an engine keeps the sessions of one way to run a model.
  const [engine, other] = [new Engine(join(folder, 'engine.js')), new Engine(join(folder, 'engine.js'))];
  const bare = worker('bare', model, 512);
  const all = worker('all-logits', model, 512);
  const contenders = {
    bare: () => bare.run(),
    last: () => analyze(engine, request(model, 512, false)),
    all: () => all.run(),
    attention: () => analyze(other, request(model, 512, true)),
  };
  // Twice, because sessions are kept from the second run on.
  for (let i = 0; i < 2; i++) for (const contender of Object.values(contenders)) await contender();
  const times = await takeTurns(contenders);
  engine.dispose();
  other.dispose();
  bare.end();
  all.end();
  const ratio = (name: keyof typeof times) => `${ratios(times[name], times.bare).toFixed(2)} ×`;
  return [
    { what: 'warm, T = 512, last row of logits, against a bare run', target: '0.85 ×', measured: ratio('last') },
    { what: 'warm, T = 512, all logits', target: '1.05 ×', measured: ratio('all') },
    { what: 'warm, T = 512, last row and attention sinks', target: '1.20 ×', measured: ratio('attention') },
  ];
}

/** From nothing to the end: fork, load, run. */
async function cold(model: BenchModel, tokens: number): Promise<Figure[]> {
  const firsts: Firsts[] = [];
  const times = await takeTurns({
    bare: async () => {
      const bare = worker('bare', model, tokens);
      await bare.run();
      bare.end();
    },
    whole: async () => {
      const engine = new Engine(join(folder, 'engine.js'));
      firsts.push(await analyze(engine, request(model, tokens, false)));
      engine.dispose();
    },
  });
  const [whole, bare] = [median(times.whole), median(times.bare)];
  const short = tokens < 1024;
  const share = (what: keyof Firsts) => {
    const first = median(firsts.slice(-rounds).map((run) => run[what]));
    return `${((100 * first) / whole).toFixed(0)} % (${first.toFixed(2)} s)`;
  };
  return [
    {
      what: `cold, T = ${tokens}, against one plain session (${bare.toFixed(2)} s)`,
      target: short ? '0.90 ×' : '1.05 ×',
      measured: `${ratios(times.whole, times.bare).toFixed(2)} × (${whole.toFixed(2)} s)`,
    },
    {
      what: `cold, T = ${tokens}, first numbers (h_0), of the whole`,
      target: short ? '35 %' : '20 %',
      measured: share('embedding'),
    },
    { what: `cold, T = ${tokens}, first block's numbers, of the whole`, target: '', measured: share('block') },
  ];
}

/** Peak of the child's resident memory, Linux only. */
async function memory(model: BenchModel): Promise<Figure[]> {
  const engine = new Engine(join(folder, 'engine.js'));
  await analyze(engine, request(model, 128, true));
  const peak = peakMemory(engine.pid);
  engine.dispose();
  const parameters = (model.weightBytes / 4e9).toFixed(2);
  return [
    {
      what: `peak memory of the child, ${parameters} billion parameters, T = 128`,
      target: '1.00 GB',
      measured: peak === undefined ? 'not known on this system' : `${(peak / 1e9).toFixed(2)} GB`,
    },
  ];
}

/** Models of the size that people have, from nothing to the end; `npm run bench -- --threads 0 --only large`. */
async function large(temporary: string): Promise<Figure[]> {
  const { half, int4 } = writeLarge(temporary);
  const figures: Figure[] = [];
  for (const { name, model, targets } of [
    { name: '7 B in int4', model: int4, targets: { block: '1.00 s', peak: '1.20 GB' } },
    { name: '1.2 B in fp16', model: half, targets: { block: '', peak: '' } },
  ]) {
    const engine = new Engine(join(folder, 'engine.js'));
    const start = performance.now();
    const { block } = await analyze(engine, request(model, 512, true));
    const whole = seconds(start);
    const peak = peakMemory(engine.pid);
    engine.dispose();
    const what = `${name}, T = 512, attention sinks too`;
    figures.push({ what: `${what}: first block’s numbers`, target: targets.block, measured: `${block.toFixed(2)} s` });
    figures.push({ what: `${what}: whole`, target: '', measured: `${whole.toFixed(2)} s` });
    const held = peak === undefined ? 'not known on this system' : `${(peak / 1e9).toFixed(2)} GB`;
    figures.push({ what: `${what}: peak memory of the child`, target: targets.peak, measured: held });
  }
  return figures;
}

function request({ file }: BenchModel, tokens: number, attention: boolean): RunRequest {
  const ids = Array.from({ length: tokens }, (_, i) => (i * 7919) % 30000);
  return { model: file, prompt: { ids }, attention, memory: 2 ** 31, threads };
}

/** Seconds until there were numbers of h_0, and of the first block. */
interface Firsts {
  readonly embedding: number;
  readonly block: number;
}

/** Runs a request to its end. */
async function analyze(engine: Engine, request: RunRequest): Promise<Firsts> {
  const start = performance.now();
  let [embedding, block] = [0, 0];
  for await (const event of engine.analyze(request)) {
    if (event.type === 'failed') throw new Error(event.problem.message);
    if (event.type !== 'layer') continue;
    if (event.layer === 0) embedding = seconds(start);
    if (event.layer === 1) block = seconds(start);
  }
  return { embedding, block };
}

interface Worker {
  run(): Promise<void>;
  end(): void;
}

function worker(name: string, model: BenchModel, tokens: number): Worker {
  const child: ChildProcess = fork(join(folder, `${name}.js`), [model.file, `${tokens}`, `${threads}`]);
  return {
    run: () =>
      new Promise((resolve, reject) => {
        child.removeAllListeners();
        child.once('message', () => resolve());
        child.once('exit', (code) => reject(new Error(`${name} ended with code ${code}`)));
        child.send('run');
      }),
    end: () => {
      child.removeAllListeners();
      child.kill();
    },
  };
}

/** Seconds of every contender, by round; the first round is thrown away. */
async function takeTurns<Name extends string>(contenders: Record<Name, () => Promise<unknown>>, count = rounds) {
  const names = Object.keys(contenders) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round <= count; round++) {
    for (const name of names) {
      const start = performance.now();
      await contenders[name]();
      if (round > 0) times[name].push(seconds(start));
    }
  }
  return times;
}

function seconds(start: number): number {
  return (performance.now() - start) / 1000;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [lower, upper] = [Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2)];
  return ((sorted[lower] ?? Number.NaN) + (sorted[upper] ?? Number.NaN)) / 2;
}

/** Median of the ratios of neighbours in time, which suffer alike from what else the machine does. */
function ratios(values: readonly number[], references: readonly number[]): number {
  return median(values.map((value, round) => value / (references[round] ?? Number.NaN)));
}

const tools: Tools = {
  threads,
  rounds,
  engine: () => new Engine(join(folder, 'engine.js')),
  worker,
  takeTurns,
  ratios,
  peakMemory,
};

function table(figures: readonly Figure[]): void {
  const width = Math.max(...figures.map(({ what }) => what.length));
  console.log(`${'figure'.padEnd(width)}  at most  measured`);
  for (const { what, target, measured } of figures)
    console.log(`${what.padEnd(width)}  ${target.padEnd(7)}  ${measured}`);
}

void main();
