/**
 * Runs `test/host/` inside a real extension host: in the desktop VS Code where it can be had, else in the server
 * build. Either way mocha runs in there (`test/host/index.ts`) and leaves its record in `out/host/record.jsonl`.
 * Given another folder with an `index.ts`, and one for what is built of it, it runs that instead.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runTests } from '@vscode/test-electron';
import { build } from 'esbuild';
import { launchBrowser } from './browser.mjs';
import { desktopVSCode } from './desktop.mjs';
import { startServer, writeSettings } from './vscode-server.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const [folder = 'test/host', out = join(root, 'out/host')] = process.argv.slice(2);
const workspace = join(out, 'workspace');
const userData = join(out, 'user-data');
const tests = join(out, 'index.js');

// What another folder is asked lies where it is built to.
if (folder === 'test/host') await rm(out, { recursive: true, force: true });
await mkdir(workspace, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: [`${folder}/*.ts`],
  outdir: out,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  sourcemap: 'inline',
  external: ['vscode', 'mocha', 'onnxruntime-node', 'tokenizers', '@imagemagick/magick-wasm'],
});
await writeSettings(userData);

const desktop = await desktopVSCode();
process.exitCode = desktop ? await inDesktop(desktop) : await inServer();

/** @returns {Promise<number>} exit code */
async function inDesktop(vscodeExecutablePath) {
  return runTests({
    vscodeExecutablePath,
    extensionDevelopmentPath: root,
    extensionTestsPath: tests,
    launchArgs: [workspace, '--disable-extensions', '--disable-workspace-trust', `--user-data-dir=${userData}`],
  }).catch((error) => {
    console.error(error.message);
    return 1;
  });
}

/** @returns {Promise<number>} exit code */
async function inServer() {
  const server = await startServer({ userData, driver: true });
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    const errors = [];
    // What VS Code's own test driver calls in the page; they must be there before the page is.
    await page.exposeFunction('codeAutomationLog', (type, args) => {
      if (type === 'error') errors.push(args.join(' '));
    });
    const exit = new Promise((resolve, reject) => {
      page.exposeFunction('codeAutomationExit', resolve);
      page.once('crash', () => reject(new Error('the browser page crashed')));
    });
    const remote = (path) => `vscode-remote://${server.host}${pathToFileURL(path).pathname}`;
    const payload = [
      ['extensionDevelopmentPath', remote(root)],
      ['extensionTestsPath', remote(tests)],
      ['skipWelcome', 'true'],
    ];
    const query = new URLSearchParams({ folder: workspace, payload: JSON.stringify(payload) });
    await page.goto(`${server.url}?${query}`);
    const code = await exit;
    if (code !== 0) console.error(errors.at(-1) ?? '');
    return code;
  } finally {
    await browser.close();
    await server.close();
  }
}
