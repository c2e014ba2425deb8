/** Builds the product and a campaign (`fuzz`, `faults` or `soak`), and starts it with the arguments that follow. */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const [name, ...args] = process.argv.slice(2);
const root = fileURLToPath(new URL('../..', import.meta.url));
execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });
// As deep in the project as its sources, which find files by where they stand.
const outfile = `${root}out/campaigns/${name}.mjs`;
await build({
  absWorkingDir: root,
  stdin: {
    contents: `import { main } from './test/campaigns/${name}.ts'; process.exitCode = await main(process.argv.slice(2));`,
    resolveDir: root,
  },
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  packages: 'external',
  logLevel: 'warning',
});
process.exitCode = spawnSync(process.execPath, [outfile, ...args], { stdio: 'inherit' }).status ?? 1;
