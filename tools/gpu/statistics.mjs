/**
 * What statistics in the graph cost on a graphics card, as ratios to a plain run that fetches one row, and whether they
 * are what the kernels make of the same states there; printed as Markdown for docs/gpu.md.
 *
 *     node tools/gpu/statistics.mjs [--device webgpu] [--models gpt2,llama] [--tokens 128,512] [--rounds 9]
 *     node tools/gpu/statistics.mjs --pack FOLDER
 *
 * The second makes a folder for a machine (Linux, x64) with a card and nothing else: `cd FOLDER && ./node statistics.js`.
 * It needs the driver's Vulkan part and `libvulkan1` there; VK_DRIVER_FILES can name the driver's .json file.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = join(root, 'out/gpu-statistics');
const given = process.argv.slice(2);
const at = given.indexOf('--pack');

await build({
  absWorkingDir: root,
  entryPoints: { statistics: 'test/bench/statistics.ts' },
  outdir: built,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['onnxruntime-node'],
  // Nothing is tokenised.
  alias: { tokenizers: join(root, 'tools/gpu/none.cjs'), '@imagemagick/magick-wasm': join(root, 'tools/gpu/none.cjs') },
  loader: { '.wasm': 'binary' },
  logLevel: 'error',
  logOverride: { 'empty-import-meta': 'silent', 'import-is-undefined': 'silent' },
});
if (at >= 0) pack(given[at + 1] ?? join(root, 'out/gpu-packed'));
else
  process.exitCode = spawnSync(process.execPath, [join(built, 'statistics.js'), ...given], { stdio: 'inherit' }).status ?? 1;

function pack(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  cpSync(join(built, 'statistics.js'), join(folder, 'statistics.js'));
  const isOfLinux = (path) => !/[\\/]napi-v\d+[\\/](win32|darwin|linux[\\/]arm64)/.test(path);
  for (const name of ['onnxruntime-node', 'onnxruntime-common'])
    cpSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), {
      recursive: true,
      dereference: true,
      filter: isOfLinux,
    });
  cpSync(process.execPath, join(folder, 'node'));
  console.log(`${folder}: cd there and ./node statistics.js`);
}
