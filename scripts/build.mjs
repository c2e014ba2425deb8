/**
 * Builds everything into `dist/`: the extension host's bundle, the engine's child process, the command line and the
 * webviews. `--watch` keeps building.
 */
import { cp, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, context, stop } from 'esbuild';
import { notices } from './notices.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

const common = {
  absWorkingDir: root,
  bundle: true,
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
  outdir: 'dist',
};

const targets = [
  // Native packages stay outside the bundles: they load their binaries by path.
  {
    ...common,
    entryPoints: {
      extension: 'src/extension/extension.ts',
      engine: 'src/engine/jobs/child.ts',
      // A thread of it, which has no use for what the engine takes time to load.
      guard: 'src/engine/guard/thread.ts',
      cli: 'src/cli/cli.ts',
      library: 'src/library.ts',
    },
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['vscode', 'onnxruntime-node', 'tokenizers', '@imagemagick/magick-wasm'],
    // The JPEG decoder travels inside the bundle.
    loader: { '.wasm': 'binary' },
  },
  {
    ...common,
    entryPoints: {
      'webview/panel': 'webview/panel.ts',
      'webview/report': 'webview/report.ts',
      'webview/model': 'webview/model.ts',
    },
    platform: 'browser',
    target: 'es2022',
    format: 'esm',
    minify: true,
    tsconfig: 'webview/tsconfig.json',
    loader: { '.ttf': 'file', '.svg': 'text' },
  },
];

await rm(new URL('../dist', import.meta.url), { recursive: true, force: true });
if (process.argv.includes('--watch')) {
  for (const target of targets) await (await context({ ...target, logLevel: 'info' })).watch();
} else {
  // esbuild has told what is wrong by then.
  const builds = await Promise.all(targets.map((target) => build({ ...target, metafile: true }))).catch(() =>
    process.exit(1),
  );
  const text = await notices(
    root,
    builds.map(({ metafile }) => metafile),
  );
  await writeFile(new URL('../dist/THIRD-PARTY-NOTICES.txt', import.meta.url), text);
  // `npm start` goes on in this process for hours, and its service would stay with it.
  await stop();
}
await cp(
  new URL('../node_modules/@vscode/codicons/dist', import.meta.url),
  new URL('../dist/webview', import.meta.url),
  {
    recursive: true,
    filter: (path) => !/\.(html|svg|csv|json|less|scss|ts)$/.test(path),
  },
);
// What people who have no text of their own run experiments on: held out from the bundled models' training.
for (const name of ['three-men-in-a-boat.md', 'pit-and-pendulum.md'])
  await cp(new URL(`../test/text/${name}`, import.meta.url), new URL(`../dist/corpus/${name}`, import.meta.url));
