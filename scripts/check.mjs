/**
 * Types, project by project, lint, the law of imports, and what is derived from the catalogue of experiments:
 * `npm run check` says everything that is wrong, not only the first.
 */
import { fileURLToPath } from 'node:url';
import { run } from './npm.mjs';

const cwd = fileURLToPath(new URL('..', import.meta.url));
const projects = ['.', 'webview', 'test/browser', 'test/e2e'];
const programs = [
  ...projects.map((project) => ['node_modules/typescript/bin/tsc', '--noEmit', '-p', project]),
  ['node_modules/@biomejs/biome/bin/biome', 'ci', '--colors=off', '.'],
  ['scripts/law.mjs'],
  ['scripts/contributions.mjs', '--check'],
  ['scripts/docs.mjs'],
];

for (const program of programs) {
  await run(process.execPath, program, { cwd }).catch(() => {
    process.exitCode = 1;
  });
}
