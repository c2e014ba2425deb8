/** What the extension host calls: runs every `*.test.js` beside this file and writes mocha's JSON report. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Mocha from 'mocha';

export async function run(): Promise<void> {
  const mocha = new Mocha({
    timeout: 60_000,
    forbidOnly: true,
    forbidPending: true,
    reporter: 'json',
    reporterOptions: { output: join(__dirname, 'results.json') },
  });
  for (const name of readdirSync(__dirname)) {
    if (name.endsWith('.test.js')) mocha.addFile(join(__dirname, name));
  }
  const failures = await new Promise<number>((resolve) => mocha.run(resolve));
  if (failures > 0) throw new Error(`${failures} in-host tests failed`);
}
