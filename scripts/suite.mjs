/** Running one suite of tests in a process of its own, for as long as it may take. */
import { spawn, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { resultOf } from './record.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const windows = process.platform === 'win32';

/**
 * @typedef {object} Suite
 * @property {readonly string[]} args what Node is run on
 * @property {string} [record] the file in which its tests are noted; a suite without one is a single test
 */

/**
 * Runs a suite and counts its tests, also those of one that had to be stopped. A suite that cannot start, or ends badly
 * with no test to blame, has one failure.
 * @param {Suite} suite
 * @param {AbortSignal} limit stops the suite; its reason is an error that says why
 * @returns {Promise<{ passed: number, failures: string[], skipped: string[] }>}
 */
export async function runSuite({ args, record }, limit) {
  const { code, text } = await runNode(args, record, limit);
  if (!record)
    return code === 0 ? { passed: 1, failures: [], skipped: [] } : { passed: 0, failures: [text], skipped: [] };
  const { passed, failures, skipped, running } = resultOf(await readFile(record, 'utf8').catch(() => ''));
  const toBlame = code === 1 && failures.length > 0 && running.length === 0;
  if (code !== 0 && !toBlame) failures.push(running.length > 0 ? `${text}; running: ${running.join(', ')}` : text);
  else if (passed + failures.length === 0) failures.push('no test was run');
  return { passed, failures, skipped };
}

/**
 * Runs Node on the given arguments.
 * @param {readonly string[]} args
 * @param {string | undefined} record
 * @param {AbortSignal} limit
 * @returns {Promise<{ code?: number, text: string }>} its exit code, where it ended by itself, and how it ended in words
 */
function runNode(args, record, limit) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, ...(record && { SINKSCOPE_TEST_RECORD: record }) },
      stdio: ['ignore', 'inherit', 'inherit'],
      // A group of its own: what hangs is stopped with all that it has started.
      detached: !windows,
    });
    const stop = () => stopGroup(child.pid);
    const end = (code, text) => {
      limit.removeEventListener('abort', stop);
      process.removeListener('exit', stop);
      resolve({ code, text });
    };
    limit.addEventListener('abort', stop);
    process.once('exit', stop);
    child.once('error', ({ message }) => end(undefined, message));
    child.once('exit', (code, signal) => {
      if (limit.aborted) end(undefined, limit.reason.message);
      else end(code ?? undefined, `ended with ${signal ?? `code ${code}`}`);
    });
  });
}

function stopGroup(pid) {
  if (pid === undefined) return;
  if (windows) {
    spawnSync('taskkill', ['/pid', `${pid}`, '/t', '/f']);
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}
