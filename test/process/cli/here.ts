/**
 * The command line as it is built, in the test's own process and on one engine, which starts once for a file of tests:
 * what a command prints and ends with. How the program starts, ends, and minds its pipes is for `sinkscope.ts`.
 */
import { createRequire } from 'node:module';
import { afterAll, vi } from 'vitest';
import { cli, type Ended, printing } from './sinkscope.js';

export { fixture, path } from './sinkscope.js';

const { engine, runCommand } = createRequire(import.meta.url)(cli) as typeof import('../../../src/cli/cli.js');
afterAll(() => engine.dispose());

/** One at a time: they share the engine, and the ends that they print on. */
let queue: Promise<unknown> = Promise.resolve();

/** Runs a command to its end. */
export function sinkscope(...args: string[]): Promise<Ended> {
  const ended = queue.then(() => run(args));
  queue = ended.catch(() => undefined);
  return ended;
}

async function run(args: readonly string[]): Promise<Ended> {
  // As a process finds it.
  engine.device = 'cpu';
  engine.lineEnds = 'lf';
  engine.chat = undefined;
  engine.choose(undefined);
  engine.useTokenizers(() => undefined);
  const [stdout, stderr] = [process.stdout, process.stderr].map((stream) => {
    const written: string[] = [];
    const write = vi.spyOn(stream, 'write').mockImplementation((chunk) => written.push(String(chunk)) > 0);
    return { written, write };
  });
  const before = process.exitCode;
  process.exitCode = undefined;
  try {
    await runCommand(args, new AbortController().signal);
    const said = (end: typeof stdout) => end?.written.join('') ?? '';
    return { code: Number(process.exitCode ?? 0), signal: null, stdout: said(stdout), stderr: said(stderr) };
  } finally {
    process.exitCode = before;
    for (const end of [stdout, stderr]) end?.write.mockRestore();
  }
}

export const { printed, analyze } = printing(sinkscope);
