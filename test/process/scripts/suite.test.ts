/** What `npm test` makes of a suite, on tiny ones that vitest runs as it runs the real ones. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { resultOf } from '../../../scripts/record.mjs';
import { runSuite } from '../../../scripts/suite.mjs';

const unlimited = new AbortController().signal;

let folder: string;
let record: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-suite-'));
  record = join(folder, 'record.jsonl');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const suite = (name: string) => ({
  args: ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/process/scripts/suites/vitest.config.mts', name],
  record,
});

it('says when a suite has had its time and what was running, and counts what had ended', async () => {
  const limit = new AbortController();
  const result = runSuite(suite('hanging.ts'), limit.signal);
  const running = async () => resultOf(await readFile(record, 'utf8').catch(() => '')).running;
  try {
    await expect.poll(running).toEqual(['hanging.ts: a group > never ends']);
  } finally {
    limit.abort(new Error('stopped after a moment'));
  }
  expect(await result).toEqual({
    passed: 1,
    skipped: [],
    failures: ['hanging.ts: a group > fails', 'stopped after a moment; running: hanging.ts: a group > never ends'],
  });
});

it('counts a test that was left out without a reason as a failure, and a hook that fails as one of its own', async () => {
  const { passed, failures, skipped } = await runSuite(suite('ending.ts'), unlimited);
  expect(passed).toBe(1);
  expect(skipped).toEqual(['ending.ts: a group > cannot run here: there is no such thing']);
  expect(failures.sort()).toEqual([
    'ending.ts: a group > fails',
    'ending.ts: a group > is left out (skipped)',
    'ending.ts: a group whose hook fails > never begins (skipped)',
    'ending.ts: a group whose hook fails: nothing to begin with',
  ]);
});

it('names a file that cannot be loaded', async () => {
  expect(await runSuite(suite('broken.ts'), unlimited)).toEqual({
    passed: 0,
    failures: ['broken.ts: not a test'],
    skipped: [],
  });
});

it('takes a suite in which nothing ran for a failure', async () => {
  expect(await runSuite({ args: ['--eval', ''], record }, unlimited)).toEqual({
    passed: 0,
    failures: ['no test was run'],
    skipped: [],
  });
});

it('takes a program without a record for one test', async () => {
  expect(await runSuite({ args: ['--eval', ''] }, unlimited)).toEqual({ passed: 1, failures: [], skipped: [] });
  expect(await runSuite({ args: ['--eval', 'process.exit(3)'] }, unlimited)).toEqual({
    passed: 0,
    failures: ['ended with code 3'],
    skipped: [],
  });
});

it('reads a record as far as it was written', () => {
  const line = (name: string, state: string) => `${JSON.stringify({ name, state })}\n`;
  const lines = [line('a.ts', 'started'), line('a.ts: one', 'started'), line('a.ts: one', 'passed'), '{"name":"a.'];
  expect(resultOf(lines.join(''))).toEqual({ passed: 1, failures: [], skipped: [], running: ['a.ts'] });
});
