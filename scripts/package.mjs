/**
 * Packages the extension for one platform: `npm run package [-- --target linux-x64]` writes `out/sinkscope-….vsix`,
 * `npm run package -- --all` one for each platform there is.
 *
 * The native packages carry the files of all platforms, so what is packed is put together in a folder of its own:
 * what `.vscodeignore` leaves of this one, and of the native files those of the target.
 */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { withoutDeadLinks } from './docs.mjs';
import { installDependencies } from './install.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * By VS Code's name of a platform: the binary of `tokenizers` and, of ONNX Runtime's folder, what the CPU provider
 * loads. On Windows DirectML.dll is loaded on first use by its own provider and dxcompiler.dll and dxil.dll by WebGPU's;
 * on macOS the version's number in `libonnxruntime.1.30.0.dylib` only makes a second copy.
 * There is no `darwin-x64`: ONNX Runtime is no longer built for it.
 */
const targets = {
  'win32-x64': { tokenizers: 'win32-x64-msvc', onnxruntime: 'onnxruntime.dll' },
  'win32-arm64': { tokenizers: 'win32-arm64-msvc', onnxruntime: 'onnxruntime.dll' },
  'linux-x64': { tokenizers: 'linux-x64-gnu', onnxruntime: 'libonnxruntime.so.1' },
  'linux-arm64': { tokenizers: 'linux-arm64-gnu', onnxruntime: 'libonnxruntime.so.1' },
  'darwin-arm64': { tokenizers: 'darwin-arm64', onnxruntime: 'libonnxruntime.1.dylib' },
};

/**
 * Stages and packs what `npm run build` has built.
 * @param {string} [target] a platform by VS Code's name; this machine's unless given
 * @returns {Promise<string>} path of the vsix
 */
export async function packageExtension(target = `${process.platform}-${process.arch}`) {
  const natives = targets[target];
  if (!natives) {
    throw new Error(
      `There is no native build of ONNX Runtime for ${target}; the extension can be packaged for ${Object.keys(targets).join(', ')}.`,
    );
  }
  const stage = join(root, 'out/package', target);
  await rm(stage, { recursive: true, force: true });
  await mkdir(stage, { recursive: true });

  const { createVSIX, listFiles, PackageManager } = await import('@vscode/vsce');
  const files = await listFiles({ cwd: root, packageManager: PackageManager.None });
  await copy(root, stage, files, () => true);
  const paths = new Set(files.map((file) => file.split(sep).join('/')));
  for (const page of [...paths].filter((file) => file.endsWith('.md') && !file.startsWith('media/')))
    await writeFile(join(stage, page), withoutDeadLinks(page, await readFile(join(root, page), 'utf8'), paths));
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const { scripts, devDependencies, exports, ...shipped } = manifest;
  // For whoever imports the package, whose types are made of its; here it lies in the bundles.
  const { valibot, ...dependencies } = manifest.dependencies;
  await writeFile(
    join(stage, 'package.json'),
    JSON.stringify({ ...shipped, dependencies, files: ['**'] }, undefined, 2),
  );

  const [os, cpu] = target.split('-');
  await copyPackage(stage, 'onnxruntime-common', ['dist/cjs']);
  await copyPackage(stage, 'onnxruntime-node', [
    'dist',
    ...['onnxruntime_binding.node', natives.onnxruntime].map((file) => `bin/napi-v6/${os}/${cpu}/${file}`),
  ]);
  await copyPackage(stage, '@imagemagick/magick-wasm', ['dist/index.js', 'dist/x86', 'LICENSE', 'NOTICE']);
  await copyPackage(stage, 'tokenizers', ['index.js', 'LICENSE', `tokenizers.${natives.tokenizers}.node`]);

  const vsix = join(root, 'out', `${manifest.name}-${manifest.version}-${target}.vsix`);
  await createVSIX({
    cwd: stage,
    packagePath: vsix,
    target,
    allowMissingRepository: true,
    rewriteRelativeLinks: false,
  });
  return vsix;
}

/** Copies the named parts of an installed package and a manifest that asks for nothing but what is shipped. */
async function copyPackage(stage, name, parts) {
  const from = join(root, 'node_modules', name);
  const to = join(stage, 'node_modules', name);
  await mkdir(to, { recursive: true });
  await copy(from, to, parts, (path) => !/\.(map|d\.ts)$/.test(path));
  const {
    dependencies = {},
    scripts,
    devDependencies,
    ...manifest
  } = JSON.parse(await readFile(join(from, 'package.json'), 'utf8'));
  // adm-zip and global-agent serve onnxruntime-node's install script alone.
  const { 'onnxruntime-common': common } = dependencies;
  await writeFile(
    join(to, 'package.json'),
    JSON.stringify({ ...manifest, ...(common && { dependencies: { 'onnxruntime-common': common } }) }, undefined, 2),
  );
}

/** Copies files and folders by their paths below `from`. */
async function copy(from, to, paths, filter) {
  for (const path of paths) await cp(join(from, path), join(to, path), { recursive: true, filter });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { target: { type: 'string' }, all: { type: 'boolean' } } });
  await installDependencies();
  await import('./build.mjs');
  for (const target of values.all ? Object.keys(targets) : [values.target]) console.log(await packageExtension(target));
}
