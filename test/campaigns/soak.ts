/**
 * `npm run soak -- --count N`: N analyses in one engine of one model, then N over several, then N more that are begun
 * and left before. What a process holds must not grow with what it has done.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { RunEvent } from '../../src/engine/contract/events.js';
import { Engine } from '../../src/engine/host/engine.js';
import { checkBuilt, limits, memoryOf, openFiles, root } from './watch.js';

/**
 * What a process may hold in the last quarter of the runs: so many times what it held in the second one and so many
 * bytes more, which is what the garbage of JavaScript differs by; and so many open files more.
 */
const bound = { times: 1.1, bytes: 2 ** 24, files: 2 } as const;

/** What a process holds, by run. */
interface Series {
  readonly memory: number[];
  readonly files: number[];
}

/** What an engine and the process that has it hold while it runs. */
export interface Soaked {
  readonly what: string;
  readonly runs: number;
  /** Bytes. */
  readonly child: Quarters;
  readonly parent: Quarters;
  /** What went wrong, as sentences. */
  readonly wrong: readonly string[];
}

/** Medians of the second quarter, when all is warm, and of the last. */
interface Quarters {
  readonly early: number;
  readonly late: number;
}

const text = { text: 'Summer is warm. Winter is cold, and the days are short.' };
const llama = (name: string) => ({ model: join(root, 'media/models', name, 'model.onnx'), prompt: text });
const zoo = (name: string) => {
  const folder = join(root, 'test/zoo/fixtures', name);
  return { model: join(folder, 'model.onnx'), prompt: { feeds: join(folder, 'golden.safetensors') } };
};

interface Plan {
  /** In turn. */
  readonly runs: readonly ReturnType<typeof llama | typeof zoo>[];
  /** Whether each run is first begun and left when a layer is there, which ends the engine's process. */
  readonly stops: boolean;
}

const several = [llama('llama-sink'), zoo('bert-ort-fused'), zoo('gnn-ts-op17'), zoo('gpt2-optimum-merged')];

const plans = {
  'one model': { runs: [llama('llama')], stops: false },
  'several models': { runs: several, stops: false },
  'stopped runs': { runs: several, stops: true },
} satisfies Readonly<Record<string, Plan>>;

/** @param count runs; fewer than fifty say little of memory where there are several models */
export async function soak(what: keyof typeof plans, count: number): Promise<Soaked> {
  checkBuilt();
  const { runs, stops }: Plan = plans[what];
  const engine = new Engine(join(root, 'dist/engine.js'));
  const [child, parent]: [Series, Series] = [
    { memory: [], files: [] },
    { memory: [], files: [] },
  ];
  const wrong: string[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const run = runs[index % runs.length];
      if (!run) throw new Error('there is nothing to run');
      const request = { ...run, attention: true, memory: limits.budget, threads: 1 };
      if (stops) for await (const { type } of engine.analyze(request)) if (type === 'layer') break;
      let last: RunEvent | undefined;
      for await (const event of engine.analyze(request)) last = event;
      if (last?.type !== 'finished') wrong.push(`run ${index} ended with ${last?.type}`);
      // After each model has had its turn, so that like is held against like.
      if ((index + 1) % runs.length > 0 || engine.pid === undefined) continue;
      for (const [series, pid] of [
        [child, engine.pid],
        [parent, process.pid],
      ] as const) {
        series.memory.push(memoryOf(pid));
        series.files.push(openFiles(pid));
      }
    }
  } finally {
    engine.dispose();
  }
  wrong.push(...grown('its owner', parent));
  // Each run after one that was stopped is the first of its process.
  if (!stops) wrong.push(...grown('the engine', child));
  return { what, runs: count, child: quarters(child.memory), parent: quarters(parent.memory), wrong };
}

function grown(name: string, { memory, files }: Series): string[] {
  const held = quarters(memory);
  const open = quarters(files);
  return [
    ...(held.late > bound.times * held.early + bound.bytes
      ? [`${name} grew from ${megabytes(held.early)} to ${megabytes(held.late)}`]
      : []),
    ...(open.late > open.early + bound.files ? [`${name} had ${open.early} files open, then ${open.late}`] : []),
  ];
}

function quarters(values: readonly number[]): Quarters {
  const quarter = Math.floor(values.length / 4);
  return { early: median(values.slice(quarter, 2 * quarter)), late: median(values.slice(-quarter)) };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { count: { type: 'string', default: '200' } } });
  let code = 0;
  for (const name of ['one model', 'several models', 'stopped runs'] as const) {
    const { what, runs, child, parent, wrong } = await soak(name, Number(values.count));
    const shown = (name: string, { early, late }: Quarters) => `${name} ${megabytes(early)} → ${megabytes(late)}`;
    console.log(`${what}, ${runs} runs: ${shown('engine', child)}, ${shown('owner', parent)}`);
    for (const rule of wrong) console.log(`  ${rule}`);
    if (wrong.length > 0) code = 1;
  }
  return code;
}
