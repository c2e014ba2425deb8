/** Builds the bench, the engine's child and what they are measured against, and starts it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { against } from './against.mjs';
import { code } from './code.mjs';
import { drawing } from './drawing.mjs';
import { panel } from './panel.mjs';
import { recognition } from './recognition.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const outdir = fileURLToPath(new URL('../../node_modules/.cache/sinkscope/bench', import.meta.url));
await build({
  absWorkingDir: root,
  entryPoints: {
    engine: 'src/engine/jobs/child.ts',
    // A thread of it, which has no use for what the engine takes time to load.
    guard: 'src/engine/guard/thread.ts',
    bench: 'test/bench/bench.ts',
    bare: 'test/bench/bare.ts',
    'all-logits': 'test/bench/all-logits.ts',
    steps: 'test/bench/steps.ts',
  },
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['onnxruntime-node', 'tokenizers', '@imagemagick/magick-wasm'],
  loader: { '.wasm': 'binary' },
});
const { only, real, python, ...others } = parseArgs({
  options: {
    only: { type: 'string' },
    real: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    threads: { type: 'string' },
    rounds: { type: 'string' },
  },
}).values;
/** Those that are measured here. */
const own = ['panel', 'drawing', 'recognition', 'against', 'code'];
const forwarded = Object.entries({ only, ...others }).flatMap(([name, value]) =>
  value === undefined ? [] : [`--${name}`, value],
);
const { status } = own.includes(only)
  ? { status: 0 }
  : spawnSync(process.execPath, [`${outdir}/bench.js`, ...forwarded], { stdio: 'inherit' });
if (only === undefined || only === 'panel') console.table(await panel());
if (only === undefined || only === 'drawing') console.table(await drawing());
if (only === undefined || only === 'recognition') console.table(await recognition());
if (only === undefined || only === 'code') console.table(await code(`${outdir}/bench.js`));
if (only === undefined || only === 'against') console.table(against(real, python));
process.exitCode = status ?? 1;
