/** What the extension host calls: runs every `*.test.js` beside this file and notes how each test ended. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Mocha from 'mocha';
import { take } from '../../scripts/record.mjs';

const record = join(__dirname, 'record.jsonl');

export async function run(): Promise<void> {
  const mocha = new Mocha({ timeout: 300_000, forbidOnly: true, forbidPending: true });
  for (const name of readdirSync(__dirname)) {
    if (name.endsWith('.test.js')) mocha.addFile(join(__dirname, name));
  }
  const failures = await new Promise<number>((resolve) => {
    const runner = mocha.run(resolve);
    runner.on('test', (test) => take(record, { name: test.fullTitle(), state: 'started' }));
    runner.on('pass', (test) => take(record, { name: test.fullTitle(), state: 'passed' }));
    runner.on('fail', (test, { message }) => take(record, { name: test.fullTitle(), state: 'failed', message }));
    runner.on('pending', (test) => take(record, { name: test.fullTitle(), state: 'skipped' }));
  });
  if (failures > 0) throw new Error(`${failures} in-host tests failed`);
}
