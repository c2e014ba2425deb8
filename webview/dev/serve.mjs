/**
 * The webview in an ordinary browser, with a recorded run and a host played by `harness.ts`, under the very
 * content-security policy that VS Code applies. `node webview/dev/serve.mjs` and open the address it prints;
 * the tests start the same server. Parameters of the page: see `harness.ts`.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { readCatalogue } from '../../scripts/contributions.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const types = { '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.ttf': 'font/ttf', '.woff2': 'font/woff2' };

/** Builds the webview as it is packaged, and the harness. Paths without leading slash to bytes. */
async function bundle() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: {
      panel: 'webview/panel.ts',
      report: 'webview/report.ts',
      model: 'webview/model.ts',
      harness: 'webview/dev/harness.ts',
    },
    bundle: true,
    platform: 'browser',
    target: 'es2022',
    format: 'esm',
    minify: true,
    loader: { '.svg': 'text' },
    tsconfig: 'webview/tsconfig.json',
    outdir: '/',
    write: false,
    logLevel: 'warning',
  });
  return new Map(outputFiles.map(({ path, contents }) => [path.replace(/^.*[\\/]/, ''), contents]));
}

/** @param {string} entry `panel` or `model` */
function page(nonce, entry) {
  return `<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Sinkscope</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="${entry}.css">
  <link rel="stylesheet" href="codicon.css">
  <script type="module" nonce="${nonce}" src="harness.js"></script>
  <script type="module" nonce="${nonce}" src="${entry}.js"></script>
</head>
<body></body>
</html>`;
}

async function fileOf(name, bundled) {
  if (bundled.has(name)) return bundled.get(name);
  if (/^codicon\.(css|ttf)$/.test(name)) return readFile(join(root, 'node_modules/@vscode/codicons/dist', name));
  // What pictures that are kept are written in (`shots.mjs`).
  const font = /^fonts\/(roboto-[a-z-]+-400-normal\.woff2)$/.exec(name)?.[1];
  if (font) return readFile(join(root, 'node_modules/@fontsource/roboto/files', font));
  if (/^runs\/[\w-]+\.json$/.test(name)) return readFile(join(here, name));
  return undefined;
}

/**
 * @param {number} port 0: any free one
 * @returns {Promise<{ address: string, bundled: Map<string, Uint8Array>, close(): Promise<void> }>}
 */
export async function serve(port = 0) {
  const [bundled, { experiments }] = await Promise.all([bundle(), readCatalogue(root)]);
  bundled.set('catalogue.json', Buffer.from(JSON.stringify(experiments)));
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const name = pathname.slice(1);
    if (name === '') {
      const nonce = randomBytes(16).toString('base64');
      response.writeHead(200, {
        'content-type': 'text/html',
        'content-security-policy':
          `default-src 'none'; img-src 'self' blob: data:; style-src 'self' 'nonce-${nonce}'; font-src 'self'; ` +
          `script-src 'nonce-${nonce}'; connect-src 'self'`,
      });
      return response.end(page(nonce, searchParams.get('view') === 'model' ? 'model' : 'panel'));
    }
    const file = await fileOf(name, bundled);
    response.writeHead(file ? 200 : 404, { 'content-type': types[extname(name)] ?? 'application/octet-stream' });
    response.end(file);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    bundled,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { address } = await serve(4173);
  console.log(`${address}?run=harris&theme=dark`);
}
