/**
 * What a graphics card gives, printed as Markdown for docs/gpu.md: which providers there are, every fixture of the zoo
 * against its reference, experiments against the CPU, and times.
 *
 *     node tools/gpu/run.mjs [--device webgpu] [--only providers,zoo,experiments,bench] [--rounds 3]
 *     node tools/gpu/run.mjs statistics [--device webgpu] [--models gpt2,llama] [--tokens 128,512] [--rounds 9]
 *     node tools/gpu/run.mjs --pack FOLDER
 *
 * The second says what statistics in the graph cost, as ratios to a plain run that fetches one row, and whether they are
 * those of the states. The third makes a folder that runs on a machine with a card and nothing else: `cd FOLDER &&
 * ./node tools/gpu/run.mjs`.
 * It needs the driver's Vulkan part and `libvulkan1` there; VK_DRIVER_FILES can name the driver's .json file.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = join(root, 'out/gpu');
const given = process.argv.slice(2);
const at = given.indexOf('--pack');

/** Packages that bundles leave outside, for Linux on x64. */
const outside = ['onnxruntime-node', 'onnxruntime-common', 'tokenizers'];

// A packed folder has no sources.
if (existsSync(join(root, 'src'))) {
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: root,
    entryPoints: { engine: 'src/engine/jobs/child.ts', guard: 'src/engine/guard/thread.ts', gpu: 'test/bench/gpu.ts', statistics: 'test/bench/statistics.ts' },
    outdir: built,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['onnxruntime-node', 'tokenizers', '@imagemagick/magick-wasm'],
    loader: { '.wasm': 'binary' },
    logLevel: 'error',
    logOverride: { 'empty-import-meta': 'silent' },
  });
}
if (at >= 0) pack(given[at + 1] ?? join(root, 'out/gpu-packed'));
else {
  const zoo = ['fixtures', 'families'].map((part) => join(root, 'test/zoo', part)).join(delimiter);
  const env = { SINKSCOPE_ZOO: zoo, ...process.env };
  const [bundle, options] = given[0] === 'statistics' ? ['statistics.js', given.slice(1)] : ['gpu.js', given];
  const { status } = spawnSync(process.execPath, [join(built, bundle), ...options], { cwd: root, env, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}

function pack(folder) {
  rmSync(folder, { recursive: true, force: true });
  const copy = (path, filter = () => true) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(root, path), join(folder, path), { recursive: true, dereference: true, filter });
  };
  for (const path of ['out/gpu', 'tools/gpu', 'test/zoo/fixtures', 'test/zoo/families', 'media/models/llama']) copy(path);
  const isOther = /napi-v\d+\/(win32|darwin|linux\/arm64)|tokenizers\.(?!linux-x64-gnu)[\w-]+\.node$/;
  for (const name of outside) copy(`node_modules/${name}`, (path) => !isOther.test(path));
  cpSync(process.execPath, join(folder, 'node'));
  console.log(`${folder}: cd there and ./node tools/gpu/run.mjs`);
}
