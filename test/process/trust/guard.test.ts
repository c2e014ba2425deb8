/** The guard of the engine's process ends it, whatever its main thread is doing. */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { endProblem } from '../../../src/engine/host/noted.js';
import { root } from '../../support/files.js';

let folder: string;
let program: string;

beforeAll(async () => {
  const cache = join(root, 'node_modules/.cache/sinkscope');
  mkdirSync(cache, { recursive: true });
  folder = mkdtempSync(join(cache, 'guard-'));
  program = join(folder, 'guarded.js');
  // Beside it, as where it is packed, the guard.
  const entryPoints = {
    guarded: join(import.meta.dirname, 'guarded.ts'),
    guard: join(root, 'src/engine/guard/thread.ts'),
  };
  await build({ entryPoints, outdir: folder, bundle: true, platform: 'node', target: 'node20', format: 'cjs' });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Has a process under guard misbehave, and gives what the guard said and how the process ended. */
async function misbehave(how: 'hoard' | 'spin' | 'wait' | 'give up') {
  const child = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc', 'pipe'], execArgv: [] });
  const said = child.stdio[4];
  if (!said || !('readable' in said)) throw new Error('the guard has no pipe');
  child.send(how);
  if (how === 'give up') said.once('readable', () => child.send('now'));
  const [note, [, signal]] = await Promise.all([text(said), once(child, 'exit')]);
  return { problem: endProblem(signal, note, ''), signal };
}

it('ends a process that holds more than it may, and says so', async () => {
  const { problem, signal } = await misbehave('hoard');
  expect(signal).toBe('SIGKILL');
  expect(problem.code).toBe('crashed');
  expect(problem.message).toMatch(/^The engine process was ended: it held [\d.]+ GB while it hoarded, and may hold/);
});

it('ends a process whose time is up although its main thread hears nothing, and says so', async () => {
  const { problem, signal } = await misbehave('spin');
  expect(signal).toBe('SIGKILL');
  expect(problem.message).toMatch(
    /^The engine process was ended: 0\.1 s of processor time had gone by while it spun, with no end/,
  );
});

it('ends a process that waits for something that does not come, and says so', async () => {
  const { problem, signal } = await misbehave('wait');
  expect(signal).toBe('SIGKILL');
  expect(problem.message).toMatch(/^The engine process was ended: 0\.1 s had gone by while it waited, with no end/);
});

it('ends a process whose parent is gone although its main thread hears nothing', async () => {
  const parent = join(folder, 'parent.cjs');
  writeFileSync(
    parent,
    `require('node:child_process').fork(${JSON.stringify(program)}, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
      execArgv: [],
    }).send('spin for ever');`,
  );
  const grandparent = spawn(process.execPath, [parent], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(grandparent.stdout, 'data');
  grandparent.kill('SIGKILL');
  // The child has inherited this pipe: it closes when the last of the two has ended.
  await once(grandparent.stdout, 'close');
  expect(grandparent.stdout.closed).toBe(true);
});

it('says what a process was at that native code ended', async () => {
  const { problem, signal } = await misbehave('give up');
  expect(signal).toBe('SIGABRT');
  expect(problem.message).toMatch(/^The engine process ended unexpectedly \(SIGABRT\) while it gave up\. Check/);
});

it.each(['', 'Segmentation fault', '{"kind":"memory"}', '{"kind":"time","what":"a","seconds":1'])(
  'takes %j for nothing that a guard says',
  (said) => {
    expect(endProblem('SIGBUS', said, '').message).toMatch(/^The engine process ended unexpectedly \(SIGBUS\)\. /);
  },
);
