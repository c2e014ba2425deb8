/** Brings `node_modules` in line with the lock file. Uses nothing but Node and npm, so it runs on a fresh clone. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { npm } from './npm.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs `npm ci` when a package that the lock file names is missing or has another version. */
export async function installDependencies() {
  const locked = await packagesOf('package-lock.json');
  // npm's own record of what it has put there.
  const installed = await packagesOf('node_modules/.package-lock.json').catch(() => ({}));
  const missing = Object.entries(locked).some(
    ([path, { version, optional }]) => path !== '' && !optional && installed[path]?.version !== version,
  );
  if (!missing) return;
  // On stderr: what is printed else may be a result.
  console.error('Installing what the lock file names (once, under a minute on most lines) …');
  await npm(['ci'], { cwd: root });
}

/** @returns {Promise<Record<string, { version: string, optional?: boolean }>>} */
async function packagesOf(lockFile) {
  return JSON.parse(await readFile(new URL(`../${lockFile}`, import.meta.url), 'utf8')).packages;
}
