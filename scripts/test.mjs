/**
 * `npm test`: everything, one suite after the other, closed by one line that sums them all.
 * A suite that cannot start, or ends badly with no test to blame, counts as one failure.
 */
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installDependencies } from './install.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const reports = join(root, 'out/test');
const hostReport = join(root, 'out/host/results.json');
const success = 'code 0';
const minutes = 60_000;

/** @typedef {{ passed: number, failures: string[] }} Result */

const installed = (path) => join(root, 'node_modules', path);

/** A program whose exit code is its one result. */
const check = (name, ...args) => ({
  name,
  args,
  report: async (ending) => ({ passed: ending === success ? 1 : 0, failures: [] }),
});

const vitest = (name, reportName, ...options) => {
  const file = join(reports, reportName);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  return {
    name,
    args: [installed('vitest/vitest.mjs'), 'run', ...options, ...reporters],
    report: () => fromVitest(file),
  };
};

const suites = [
  check('build', 'scripts/build.mjs'),
  check('types and lint', 'scripts/check.mjs'),
  vitest('unit and zoo', 'unit.json'),
  { name: 'in-host', args: ['scripts/host.mjs'], report: () => fromMocha(hostReport) },
  vitest('end-to-end', 'e2e.json', '--config', 'vitest.e2e.config.mts'),
];

for (const old of [reports, hostReport]) await rm(old, { recursive: true, force: true });
await mkdir(reports, { recursive: true });

let passed = 0;
const failures = [];
try {
  await installDependencies();
  for (const suite of suites) {
    console.log(`\n— ${suite.name}`);
    const result = await runSuite(suite);
    passed += result.passed;
    failures.push(...result.failures.map((failure) => `${suite.name}: ${failure}`));
    console.log(`${result.passed} passed, ${result.failures.length} failed in ${suite.name}`);
  }
} catch (error) {
  failures.push(`installing the dependencies: ${error.message}`);
}

if (failures.length > 0) console.log(`\nFailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`);
process.exitCode = failures.length > 0 ? 1 : 0;
console.log(`\n${passed} passed, ${failures.length} failed`);

/** @returns {Promise<Result>} */
async function runSuite({ args, report }) {
  const ending = await runNode(args);
  /** @type {Result} */
  const result = await report(ending).catch((error) => ({ passed: 0, failures: [`no report: ${error.message}`] }));
  if (ending !== success && result.failures.length === 0) result.failures.push(`ended with ${ending}`);
  return result;
}

/** Runs Node on the given arguments and says how it ended; a suite that hangs is stopped. */
function runNode(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: 15 * minutes,
    });
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
  });
}

/** @returns {Promise<Result>} */
async function fromVitest(file) {
  const { testResults } = JSON.parse(await readFile(file, 'utf8'));
  const result = { passed: 0, failures: [] };
  for (const { name, status, message, assertionResults } of testResults) {
    for (const test of assertionResults) {
      if (test.status === 'passed') result.passed += 1;
      else
        result.failures.push(
          `${relative(root, name)}: ${test.fullName}${test.status === 'failed' ? '' : ` (${test.status})`}`,
        );
    }
    // A file that could not be loaded has no tests to count.
    if (status === 'failed' && assertionResults.every((test) => test.status !== 'failed')) {
      result.failures.push(`${relative(root, name)}: ${message}`);
    }
  }
  return result;
}

/** @returns {Promise<Result>} */
async function fromMocha(file) {
  const { passes, failures, pending } = JSON.parse(await readFile(file, 'utf8'));
  return {
    passed: passes.length,
    failures: [
      ...failures.map((test) => `${test.fullTitle}: ${test.err.message}`),
      ...pending.map((test) => `${test.fullTitle} (pending)`),
    ],
  };
}
