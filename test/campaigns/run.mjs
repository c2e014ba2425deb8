/** Builds the product and a campaign (`fuzz`, `faults` or `soak`), and starts it with the arguments that follow. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const [name, ...args] = process.argv.slice(2);
const root = fileURLToPath(new URL('../..', import.meta.url));
execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });
// As deep in the project as its source, which finds files by where it stands.
const outfile = `${root}out/campaigns/${name}.mjs`;
await build({
  absWorkingDir: root,
  entryPoints: [`test/campaigns/${name}.ts`],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  packages: 'external',
  logLevel: 'warning',
});
const { main } = await import(pathToFileURL(outfile).href);
process.exitCode = await main(args);
