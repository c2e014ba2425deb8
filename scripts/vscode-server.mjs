/**
 * VS Code as a server: a real editor, extension host and webviews for machines without a desktop.
 *
 * code-server is no dependency of the project. It is installed on demand into `.cache/`, with the Node 24 it needs,
 * from the lock file in `vscode-server/`; its native parts (logging, file watching by inotify) are left out, as they
 * would need a compiler and nothing here uses them.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, copyFile, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { npm, run } from './npm.mjs';

const recipe = fileURLToPath(new URL('vscode-server/', import.meta.url));
const cache = fileURLToPath(new URL('../.cache/vscode-server/', import.meta.url));

/**
 * Installs the server build unless it is there.
 * @returns {Promise<{ node: string, entry: string }>} the Node to run it with and its entry script
 */
export async function installServer() {
  const files = ['package.json', 'package-lock.json', '.npmrc'];
  const hash = createHash('sha256');
  for (const file of files) hash.update(await readFile(join(recipe, file)));
  const folder = join(cache, hash.digest('hex').slice(0, 12));

  if (!(await exists(folder))) {
    console.log('Installing VS Code as a server (once, about 600 MB, a minute or two) …');
    // A folder of its own until it is whole: two runs at a time do not meet, and a broken one leaves nothing behind.
    const partial = `${folder}-${process.pid}`;
    await removeAbandoned();
    try {
      await mkdir(partial, { recursive: true });
      for (const file of files) await copyFile(join(recipe, file), join(partial, file));
      const quiet = ['--ignore-scripts', '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error'];
      await npm(['ci', ...quiet], { cwd: partial });
      // Its shrinkwrap is not quite in step with its manifest, which `npm ci` would refuse.
      await npm(['install', ...quiet], { cwd: join(partial, 'node_modules/code-server/lib/vscode') });
      await rename(partial, folder).catch(async (error) => {
        if (!(await exists(folder))) throw error;
      });
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }
  return { node: node24(folder), entry: join(folder, 'node_modules/code-server/out/node/entry.js') };
}

/** The Node that code-server insists on: this one, or the platform's binary from the registry. */
function node24(folder) {
  if (process.versions.node.startsWith('24.')) return process.execPath;
  const require = createRequire(join(folder, 'package.json'));
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  for (const name of [`node-${platform}-${process.arch}`, `node-bin-${platform}-${process.arch}`]) {
    try {
      const manifest = require.resolve(`${name}/package.json`);
      return join(dirname(manifest), require(manifest).bin.node);
    } catch {
      // the other name
    }
  }
  throw new Error(
    `VS Code as a server needs Node 24, and there is no package of it for ${process.platform}-${process.arch}: run this with Node 24.`,
  );
}

/** Removes what runs that were killed in the middle of installing have left. */
async function removeAbandoned() {
  for (const name of await readdir(cache).catch(() => [])) {
    const pid = /-(\d+)$/.exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) await rm(join(cache, name), { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

const exists = (path) =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * Writes the editor's settings: quiet, and nothing that asks a question over a fresh profile.
 * @param {string} userData
 */
export async function writeSettings(userData) {
  const settings = {
    'chat.disableAIFeatures': true,
    'extensions.ignoreRecommendations': true,
    'git.enabled': false,
    'security.workspace.trust.enabled': false,
    'telemetry.telemetryLevel': 'off',
    'workbench.secondarySideBar.defaultVisibility': 'hidden',
    'workbench.startupEditor': 'none',
  };
  await mkdir(join(userData, 'User'), { recursive: true });
  await writeFile(join(userData, 'User/settings.json'), JSON.stringify(settings, undefined, 2));
}

/**
 * Starts the server on a free port of this machine.
 * @param {object} options
 * @param {string} options.userData folder of the editor's settings, state and installed extensions
 * @param {string} [options.vsix] a packaged extension to install first
 * @param {boolean} [options.trust] whether a window may be one that trusts no folder, where the settings say so
 * @param {number} [options.grace] seconds for which the extension host of a closed window waits for it to come back
 * @param {boolean} [options.driver] for tests, which talk with the page through it; notifications are not shown then
 * @returns {Promise<{ url: string, host: string, close(): Promise<void> }>} `url` ends with a slash
 */
export async function startServer({ userData, vsix, trust = false, grace = 3600, driver = false }) {
  const { node, entry } = await installServer();
  const folders = ['--user-data-dir', userData, '--extensions-dir', join(userData, 'extensions')];
  folders.push('--config', join(userData, 'code-server.yaml'));
  const environment = { ...process.env };
  // A terminal inside VS Code must not make the server believe that it is a client of that VS Code.
  for (const name of Object.keys(environment))
    if (/^(VSCODE_|ELECTRON_|PORT$|PASSWORD$)/.test(name)) delete environment[name];

  await mkdir(userData, { recursive: true });
  // Missing native parts fill its output with stacks, so that goes into a file.
  const logFile = join(userData, 'server.log');
  const log = await open(logFile, 'w');
  if (vsix) {
    await run(node, [entry, ...folders, '--install-extension', vsix], {
      env: environment,
      stdio: ['ignore', log.fd, log.fd],
    });
  }
  const server = spawn(
    node,
    [
      entry,
      ...folders,
      ...['--auth', 'none', '--bind-addr', '127.0.0.1:0'],
      ...['--disable-telemetry', '--disable-update-check', ...(trust ? [] : ['--disable-workspace-trust'])],
      ...['--reconnection-grace-time', `${grace}`],
      ...(driver ? ['--vscode-option', 'enable-smoke-test-driver'] : []),
    ],
    { env: environment, stdio: ['ignore', 'pipe', log.fd] },
  );
  const ended = new Promise((resolve) => server.once('exit', resolve));
  const close = async () => {
    server.kill();
    await ended;
    await log.close();
  };
  process.once('exit', () => server.kill());
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

  const host = await new Promise((resolve, reject) => {
    createInterface({ input: server.stdout }).on('line', (line) => {
      log.write(`${line}\n`);
      const address = /listening on http:\/\/([\d.]+:\d+)/.exec(line);
      if (address) resolve(address[1]);
    });
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`VS Code as a server ended with code ${code}; see ${logFile}`)));
  });
  return { url: `http://${host}/`, host, close };
}
