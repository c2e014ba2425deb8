/**
 * The record of a suite: a line of JSON whenever a test starts or ends, so that what had passed and what was running is
 * known even of a suite that never comes to its end. Vitest's runner (`test/recorder.ts`) and mocha's
 * (`test/host/index.ts`) write it, from the process that runs the tests and before anything else can happen there.
 */
import { appendFileSync } from 'node:fs';

/**
 * @typedef {object} Note
 * @property {string} name a test, or a file of tests while none of its tests runs
 * @property {'started' | 'passed' | 'failed' | 'skipped' | 'left'} state a file is `left` when all is done in it
 * @property {string} [message] why it failed, or was skipped
 */

/**
 * @typedef {object} Result
 * @property {number} passed
 * @property {string[]} failures
 * @property {string[]} skipped tests that the machine cannot run, with the reason they gave
 * @property {string[]} running what has started and not ended: tests, and files in which no test is running
 */

/**
 * @param {string} record path of the file
 * @param {Note} note
 */
export function take(record, note) {
  appendFileSync(record, `${JSON.stringify(note)}\n`);
}

/**
 * What a record says. A test that was skipped without a reason counts as a failure: no test is there to be left out.
 * @param {string} text a record; its last line may have been cut off
 * @returns {Result}
 */
export function resultOf(text) {
  /** @type {Result} */
  const result = { passed: 0, failures: [], skipped: [], running: [] };
  for (const line of text.split('\n').slice(0, -1)) {
    /** @type {Note} */
    const { name, state, message } = JSON.parse(line);
    if (state === 'started') {
      result.running.push(name);
      continue;
    }
    const index = result.running.lastIndexOf(name);
    if (index >= 0) result.running.splice(index, 1);
    if (state === 'passed') result.passed += 1;
    if (state === 'failed') result.failures.push(message ? `${name}: ${message}` : name);
    if (state === 'skipped' && message) result.skipped.push(`${name}: ${message}`);
    else if (state === 'skipped') result.failures.push(`${name} (skipped)`);
  }
  const { running } = result;
  result.running = running.filter((name) => !running.some((other) => other.startsWith(`${name}: `)));
  return result;
}
