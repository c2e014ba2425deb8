/** `npm test`: everything, step by step, closed by one line that sums it all. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installDependencies } from './install.mjs';
import { runSuite } from './suite.mjs';
import { installServer } from './vscode-server.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const records = join(root, 'out/test');
/** For each suite: on two cores all of them together take a quarter of it. */
const limitMinutes = 40;

const vitest = (name, record, ...options) => ({
  name,
  args: [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...options],
  record: join(records, record),
});

/** One step after the other; the suites of a step run side by side. */
const steps = [
  [{ name: 'build', args: ['scripts/build.mjs'] }],
  [{ name: 'types and lint', args: ['scripts/check.mjs'] }],
  [vitest('unit and zoo', 'unit.jsonl')],
  // Both mostly wait for a VS Code of their own.
  [
    // Its record is written from inside the extension host, beside what mocha is run on.
    { name: 'in-host', args: ['scripts/host.mjs'], record: join(root, 'out/host/record.jsonl') },
    vitest('end-to-end', 'e2e.jsonl', '--config', 'vitest.e2e.config.mts'),
  ],
];

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
for (const { record } of steps.flat()) if (record) await rm(record, { force: true });
await mkdir(records, { recursive: true });

let passed = 0;
const failures = [];
const skipped = [];
try {
  await installDependencies();
  // Here, since both suites that need it would begin to at once.
  await installServer();
  for (const suites of steps) {
    console.log(`\n— ${suites.map(({ name }) => name).join(', ')}`);
    await Promise.all(suites.map(run));
  }
} catch (error) {
  failures.push(`installing the dependencies: ${error.message}`);
}

if (skipped.length > 0) console.log(`\nSkipped here:\n${skipped.map((test) => `  ${test}`).join('\n')}`);
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`);
process.exitCode = failures.length > 0 ? 1 : 0;
const left = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
console.log(`\n${passed} passed, ${failures.length} failed${left}`);

/** Runs a suite for as long as one may take, and counts its tests. */
async function run(suite) {
  const limit = new AbortController();
  const why = new Error(`stopped after ${limitMinutes} minutes, the limit for a suite`);
  const timer = setTimeout(() => limit.abort(why), limitMinutes * 60_000);
  const result = await runSuite(suite, limit.signal);
  clearTimeout(timer);
  passed += result.passed;
  failures.push(...result.failures.map((failure) => `${suite.name}: ${failure}`));
  skipped.push(...result.skipped.map((test) => `${suite.name}: ${test}`));
  console.log(`${result.passed} passed, ${result.failures.length} failed in ${suite.name}`);
}
