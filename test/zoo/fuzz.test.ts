import { fork } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/engine/contract/events.js';
import type { Engine } from '../../src/engine/host/engine.js';
import { readModel } from '../../src/onnx/read.js';
import { makeEngine } from '../support/engine.js';
import type { FuzzReport, FuzzTask } from './fuzz-child.js';
import { mutant } from './mutate.js';

/** Small graphs in very different forms. */
const files = [
  'bert-ort-fused',
  'gpt2-ort-attention-past',
  'gpt2-optimum-merged',
  'llama-dynamo-op23',
  'llama-genai-fp32',
  'llama-tfjs-q4',
  'gpt2-qdq-static',
  'gpt_oss-dynamo-op18',
].map((name) => join(import.meta.dirname, 'fixtures', name, 'model.onnx'));

const mutants = 4000;
/** What one mutant may take; each takes a few milliseconds, so that a slow machine passes too. */
const patience = 60_000;
const mostMemory = 1 << 30;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-fuzz-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('damaged models', () => {
  it(`${mutants} mutants are recognised or refused, in bounded time and memory`, { timeout: 900_000 }, async () => {
    const child = join(folder, 'child.cjs');
    const source = join(import.meta.dirname, 'fuzz-child.ts');
    await build({
      entryPoints: [source],
      outfile: child,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      logLevel: 'error',
    });
    const reports = await fuzzed(child, { files, from: 0, to: mutants });
    const outcomes = new Map<string, number>();
    for (const { outcome = '' } of reports) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    expect(
      reports.filter(({ unexpected }) => unexpected).map(({ seed, unexpected }) => `${seed}: ${unexpected}`),
    ).toEqual([]);
    expect(reports).toHaveLength(mutants);
    expect(Math.max(...reports.map(({ memory = 0 }) => memory))).toBeLessThan(mostMemory);
    // Of both kinds there must be many, or the mutations say little.
    expect(outcomes.get('fine')).toBeGreaterThan(mutants / 10);
    expect(mutants - (outcomes.get('fine') ?? 0)).toBeGreaterThan(mutants / 4);
    console.log([...outcomes].map(([outcome, count]) => `${outcome}: ${count}`).join(', '));
  });

  it('every run of a mutant ends, and the next good one works', { timeout: 900_000 }, async () => {
    const engine = makeEngine();
    try {
      const ends: string[] = [];
      for (const file of files) await cp(dirname(file), copyOf(file), { recursive: true });
      for (let seed = 0; seed < 96; seed++) {
        const file = files[seed % files.length] as string;
        const copy = join(copyOf(file), 'model.onnx');
        const damaged = join(copyOf(file), `${seed}.onnx`);
        await writeFile(damaged, mutant(await readFile(file), readModel(copy), copyOf(file), 10_000 + seed));
        ends.push(await end(engine, damaged, file));
      }
      expect(ends.every((type) => type === 'finished' || type === 'failed')).toBe(true);
      expect(ends).toContain('failed');
      expect(ends).toContain('finished');
      for (const file of files) expect(await end(engine, file, file)).toBe('finished');
    } finally {
      engine.dispose();
    }
  });
});

/** The fixture's folder again, where mutants can lie beside its data files. */
const copyOf = (file: string) => join(folder, basename(dirname(file)));

/** The type of the last event of a run on the golden feeds beside `original`. */
async function end(engine: Engine, model: string, original: string): Promise<string> {
  let last: RunEvent | undefined;
  const prompt = { feeds: join(dirname(original), 'golden.safetensors') };
  for await (const event of engine.analyze({ model, prompt, attention: true, memory: 2 ** 28, threads: 1 }))
    last = event;
  return last?.type ?? 'nothing';
}

/** The child's reports on all mutants; rejects, naming the mutant, when one takes too long or ends the process. */
function fuzzed(file: string, task: FuzzTask): Promise<FuzzReport[]> {
  const reports: FuzzReport[] = [];
  const child = fork(file, { execArgv: ['--max-old-space-size=512'], serialization: 'advanced' });
  return new Promise<FuzzReport[]>((resolve, reject) => {
    let current = task.from;
    let timer = setTimeout(() => {}, 0);
    const stop = (why: string) => reject(new Error(`mutant ${current} ${why}`));
    child.on('message', (report: FuzzReport) => {
      clearTimeout(timer);
      timer = setTimeout(() => stop(`takes more than ${patience} ms`), patience);
      current = report.seed;
      if (report.outcome !== undefined) reports.push(report);
      if (reports.length === task.to - task.from) resolve(reports);
    });
    child.on('exit', (code) => stop(`ended the process (${code})`));
    child.send(task);
  }).finally(() => child.kill('SIGKILL'));
}
