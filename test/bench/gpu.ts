/**
 * What a graphics card gives: which providers there are, the zoo against its references, experiments against the CPU,
 * and how long models of the size that people have take. `node tools/gpu/run.mjs` builds and starts it, here or in a
 * packed folder on a machine with a card; it prints Markdown for docs/gpu.md. Nothing here is a test.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Device, DeviceEvent } from '../../src/engine/contract/device.js';
import type { RunEvent, RunRequest } from '../../src/engine/contract/events.js';
import type { MeasureRequest } from '../../src/engine/contract/measure.js';
import { Engine } from '../../src/engine/host/engine.js';
import { providersOfBuild } from '../../src/engine/stages/session.js';
import { toProblem } from '../../src/errors.js';
import { compare } from '../zoo/compare.js';
import { type Fixture, fixture, folders, toleranceOf } from '../zoo/known.js';
import { type BenchModel, writeLarge, writeLlama } from './models.js';
import { part, peakMemory, sitting, table } from './printed.js';

const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'webgpu' },
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    fixtures: { type: 'string', default: '' },
    models: { type: 'string', default: '' },
    tokens: { type: 'string', default: '128,512' },
    demo: { type: 'string', default: 'media/models/llama/model.onnx' },
  },
});
const device = options.device as Device;
const rounds = Number(options.rounds);
const engineOn = (on: Device): Engine => {
  const engine = new Engine(join(__dirname, 'engine.js'));
  engine.device = on;
  return engine;
};

async function main(): Promise<void> {
  const parts: Record<string, () => Promise<void>> = { providers, zoo, experiments, bench };
  console.log(`${sitting()}\n`);
  for (const [name, run] of Object.entries(parts)) {
    if (options.only !== undefined && !options.only.split(',').includes(name)) continue;
    await part(name, run);
  }
}

async function providers(): Promise<void> {
  const built = providersOfBuild().map(({ name, bundled }) => `${name}${bundled ? '' : ' (not bundled)'}`);
  console.log(`Of this build: ${built.join(', ')}.\n`);
  const rows: string[][] = [];
  for (const asked of ['auto', 'webgpu', 'cuda', 'dml', 'coreml'] as const) {
    const engine = engineOn(asked);
    const start = performance.now();
    const { events, trouble } = await analyze(engine, request({ file: options.demo, weightBytes: 0 }, 64, 2 ** 30));
    rows.push([asked, ((performance.now() - start) / 1000).toFixed(2), trouble ?? saidIn(events).join(' ')]);
    engine.dispose();
  }
  table(['asked for', 'seconds', 'said'], rows);
}

/** Every fixture on the card against what PyTorch says, and what `auto` makes of it. */
async function zoo(): Promise<void> {
  let engine = engineOn(device);
  const saved = await mkdtemp(join(tmpdir(), 'sinkscope-gpu-'));
  const rows: string[][] = [];
  const count = { same: 0, differs: 0, refused: 0, missed: 0, failed: 0 };
  for (const folder of folders.filter((one) => new RegExp(options.fixtures).test(basename(one)))) {
    const known = await fixture(folder);
    const name = basename(folder);
    try {
      const { results, events } = await compare(engine, folder, saved);
      const errors = [...results.values()].flatMap((result) => ('error' in result ? [result.error] : []));
      const hidden = results.get('hidden');
      const worst = Math.max(...errors);
      const said = events.filter((event) => event.type === 'device');
      const isSame = worst <= onCards(known);
      const isTaken = takes(said);
      const left = said.some(({ provider }) => provider === 'cpu');
      count[isSame ? 'same' : 'differs']++;
      if (!isTaken) count.refused++;
      if (!isSame && isTaken) count.missed++;
      rows.push([
        name,
        known.dtype,
        hidden && 'error' in hidden ? hidden.error.toExponential(0) : '–',
        `${worst.toExponential(0)}${isSame ? '' : ' **differs**'}`,
        said[0]?.proof?.difference.toExponential(0) ?? '–',
        isTaken ? (left ? 'goes on with the CPU' : 'takes it') : 'refuses it',
        left || !said[0]?.proof ? said.map(({ why }) => why).join(' ') : '',
      ]);
    } catch (error) {
      count.failed++;
      rows.push([name, known.dtype, '–', 'failed', '–', '–', toProblem(error).message]);
      // A process that is in trouble with its card is not asked again.
      engine.dispose();
      engine = engineOn(device);
    }
  }
  engine.dispose();
  await rm(saved, { recursive: true });
  table(['fixture', 'weights', 'hidden', 'all', 'first block', 'auto', 'said'], rows);
  console.log(
    `\n${rows.length} fixtures on ${device}: ${count.same} are PyTorch's, ${count.differs} differ, ${count.failed} failed; auto refuses ${count.refused}, and takes ${count.missed} that differ.`,
  );
}

/** What a fixture may differ by on a card: sums in another order, functions approximated. */
const onCards = (known: Fixture): number => Math.max(2e-4, toleranceOf(known));

/** Whether `auto` takes a card of which this was said when it was named. */
const takes = (said: readonly DeviceEvent[]): boolean =>
  said.some(({ proof }) => proof !== undefined && proof.difference <= proof.tolerance);

/** Perplexity, an intervention and a survey's states: the card's numbers against the CPU's. */
async function experiments(): Promise<void> {
  const ids = Array.from({ length: 128 }, (_, i) => (i * 79) % 1000);
  const zeroed = { point: 'resid_post', block: 2, tokens: [0], dims: 'all', set: { to: 'zero' } } as const;
  const variants = [
    { name: 'plain', interventions: [] },
    { name: 'zero', interventions: [zeroed] },
  ];
  const scored: MeasureRequest = {
    model: options.demo,
    sequences: [ids, [...ids].reverse()].map((one) => ({ ids: one, from: 1, variants })),
    memory: 2 ** 30,
    threads: 0,
  };
  const found = new Map<Device, { losses: number[]; states: number[]; seconds: number; said: readonly string[] }>();
  for (const on of ['cpu', device] as const) {
    const engine = engineOn(on);
    const [losses, states]: [number[], number[]] = [[], []];
    const start = performance.now();
    for await (const event of engine.run('measure', scored)) {
      if (event.type === 'failed') throw new Error(event.problem.message);
      if (event.type === 'measured') losses.push(...event.losses);
    }
    const sequences = scored.sequences.map((one) => [...one.ids]);
    for await (const event of engine.run('states', { model: options.demo, sequences, memory: 2 ** 30, threads: 0 })) {
      if (event.type === 'failed') throw new Error(event.problem.message);
      if (event.type === 'states') for (const { top, median } of event.states) states.push(median, top[0]?.value ?? 0);
    }
    const seconds = (performance.now() - start) / 1000;
    found.set(on, { losses, states, seconds, said: engine.computedOn });
    engine.dispose();
  }
  const [cpu, other] = [found.get('cpu'), found.get(device)];
  if (!cpu || !other) return;
  console.log(other.said.join('\n'));
  table(
    ['', 'numbers', 'largest difference, relative to the largest'],
    [
      ['losses, as the model is and with a token set to zero', `${cpu.losses.length}`, off(cpu.losses, other.losses)],
      ['medians and largest entries of hidden states', `${cpu.states.length}`, off(cpu.states, other.states)],
    ],
  );
}

const off = (want: readonly number[], got: readonly number[]): string => {
  const largest = Math.max(...want.map(Math.abs));
  const difference = Math.max(...want.map((value, i) => Math.abs(value - (got[i] ?? Number.NaN))));
  return (difference / largest).toExponential(0);
};

/** Times and memory of whole analyses, CPU and card by turns. */
async function bench(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sinkscope-gpu-'));
  try {
    const { half, int4 } = writeLarge(folder);
    const models = { '1.2 B, fp32': writeLlama(folder, 16), '1.2 B, fp16': half, '7 B, int4': int4 };
    const rows: string[][] = [];
    for (const [name, model] of Object.entries(models).filter(([one]) => one.includes(options.models))) {
      for (const tokens of options.tokens.split(',').map(Number)) {
        for (const on of [...new Set<Device>(['cpu', device])]) rows.push([name, ...(await timed(model, tokens, on))]);
      }
    }
    table(['model', 'T', 'on', 'first block, s', 'cold, s', 'again, s', 'kept, s', 'peak, GB', 'said'], rows);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function timed(model: BenchModel, tokens: number, on: Device): Promise<string[]> {
  const seconds = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(2));
  const engine = engineOn(on);
  const cold = await analyze(engine, request(model, tokens, 2 ** 31));
  const peak = peakMemory(engine.pid);
  const again = await median(() => analyze(engine, request(model, tokens, 2 ** 31)), cold.trouble);
  engine.dispose();
  // Enough memory that sessions stay from the second run on.
  const keeper = engineOn(on);
  const large = request(model, tokens, 2 ** 36);
  const first = [await analyze(keeper, large), await analyze(keeper, large)];
  const kept = await median(() => analyze(keeper, large), first[1]?.trouble);
  keeper.dispose();
  return [
    `${tokens}`,
    on,
    seconds(cold.block),
    seconds(cold.whole),
    seconds(again),
    seconds(kept),
    peak === undefined ? '–' : (peak / 1e9).toFixed(2),
    cold.trouble ?? [...saidIn(cold.events), ...saidIn(first[1]?.events ?? [])].filter(isOther).join(' '),
  ];
}

const isOther = (why: string, i: number, all: readonly string[]) => all.indexOf(why) === i;

async function median(run: () => Promise<{ readonly whole: number }>, trouble?: string): Promise<number | undefined> {
  if (trouble !== undefined) return undefined;
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push((await run()).whole);
  return times.sort((a, b) => a - b)[Math.floor(rounds / 2)];
}

function request({ file }: BenchModel, tokens: number, memory: number): RunRequest {
  const ids = Array.from({ length: tokens }, (_, i) => (i * 79) % 1000);
  return { model: file, prompt: { ids }, attention: false, memory, threads: 0 };
}

async function analyze(engine: Engine, asked: RunRequest) {
  const start = performance.now();
  const events: RunEvent[] = [];
  let block: number | undefined;
  for await (const event of engine.analyze(asked)) {
    events.push(event);
    if (event.type === 'layer' && event.layer >= 1) block ??= (performance.now() - start) / 1000;
  }
  const last = events.at(-1);
  const trouble = last?.type === 'failed' ? last.problem.message : undefined;
  return { events, block, whole: (performance.now() - start) / 1000, trouble };
}

const saidIn = (events: readonly RunEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'device' ? [event.why] : []));

void main();
