/** The command line as its users have it: the built `dist/cli.js`, started as a process. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { ResultJson } from '../../../src/analysis/result.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
export const cli = join(root, 'dist/cli.js');

/** A file of the project, by its path in it. */
export const path = (file: string): string => join(root, file);

/** A file of a fixture's folder. */
export const fixture = (name: string, file = 'model.onnx'): string => path(`test/zoo/fixtures/${name}/${file}`);

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `sinkscope` to its end, away from any terminal and outside the project's folder. */
export async function sinkscope(...args: string[]): Promise<Ended> {
  const child = start(...args);
  child.stdin.end();
  return ended(child);
}

export function start(...args: string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [cli, ...args], { cwd: join(root, 'test') });
}

/** Waits for the end; an output that is not piped here gives nothing. */
export async function ended(child: ChildProcess): Promise<Ended> {
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout ?? Readable.from([])),
    text(child.stderr ?? Readable.from([])),
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  return { code, signal, stdout, stderr };
}

/** What runs print, by whatever way they run. */
export function printing(run: (...args: string[]) => Promise<Ended>) {
  /** What a run that must succeed printed on stdout. */
  async function printed(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await run(...args);
    if (code !== 0) throw new Error(`sinkscope ${args.join(' ')} ended with ${code}: ${stderr}`);
    return stdout;
  }
  /** The result of `analyze` as its JSON. */
  const analyze = async (...args: string[]): Promise<ResultJson> =>
    JSON.parse(await printed('analyze', ...args, '--json'));
  return { printed, analyze };
}

export const { printed, analyze } = printing(sinkscope);
