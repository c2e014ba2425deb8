/** The package as programs have it: its bundle, its types, and what is packed of it. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { path, printed } from './cli/sinkscope.js';

const run = promisify(execFile);
const tsc = path('node_modules/typescript/bin/tsc');

const program = `
import { analyze, Engine, experiment, inspect, SinkscopeError, type ResultJson } from 'sinkscope';

const engine = new Engine();
const layers: number[] = [];
const found: ResultJson = await analyze('llama', { text: 'Summer is warm. Winter is cold.' }, {
  engine,
  onEvent: (event) => { if (event.type === 'layer') layers.push(event.layer); },
});
const { model } = await inspect('llama', { engine });
const text = { name: 'text', text: 'Summer is warm. Winter is cold, and the days are short in the north.' };
const measured = await experiment('perplexity', { model: 'llama', text, window: 8 }, { engine });
const refused = await analyze('nowhere.onnx', { text: 'a' }).catch((error: unknown) =>
  SinkscopeError.is(error, 'file') ? error.message : 'another error',
);
engine.dispose();
const { seconds, first_layer_seconds, ...result } = found;
console.log(JSON.stringify({ result, layers, name: model.name, measured, refused }));
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
  const installed = join(folder, 'node_modules/sinkscope');
  await mkdir(installed, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'program.ts'), program);
  await symlink(path('package.json'), join(installed, 'package.json'));
  await symlink(path('node_modules/valibot'), join(folder, 'node_modules/valibot'));
  await symlink(path('node_modules/@types'), join(folder, 'node_modules/@types'));
  // Types go elsewhere than where packing puts them: other tests read what is built while this one runs.
  await mkdir(join(installed, 'dist'));
  await symlink(path('dist/library.js'), join(installed, 'dist/library.js'));
  await run(process.execPath, [tsc, '-p', path('tsconfig.library.json'), '--outDir', join(installed, 'dist/types')]);
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

it('is imported with its types, and gives what the command line prints', async () => {
  const options = ['--target', 'es2023', '--module', 'nodenext', '--strict', '--types', 'node'];
  await run(process.execPath, [tsc, ...options, 'program.ts'], { cwd: folder }).catch(({ stdout }) => {
    throw new Error(stdout);
  });
  const said = JSON.parse((await run(process.execPath, ['program.js'], { cwd: folder })).stdout);
  const same = JSON.parse(await printed('analyze', 'llama', '--text', 'Summer is warm. Winter is cold.', '--json'));
  const { seconds, first_layer_seconds, ...expected } = same;
  expect(said.result).toEqual(expected);
  expect(said.layers).toEqual(expected.layers.map(({ layer }: { layer: number }) => layer));
  expect(said.name).toBe('llama');
  expect(said.measured).toMatchObject({ perplexity: expect.any(Number), window: 8 });
  expect(said.refused).toMatch(/^There is no file .*nowhere\.onnx and no bundled model called/);
});

it('is packed with all that it loads, and nothing of the sources', async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: path('.') });
  const files: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
  const needed = [
    'dist/library.js',
    'dist/cli.js',
    'dist/engine.js',
    'dist/guard.js',
    'dist/webview/report.js',
    'LICENSE',
    'README.md',
  ];
  expect(files).toEqual(expect.arrayContaining([...needed, 'media/models/llama/model.onnx']));
  expect(files.filter((file) => /^(src|test|scripts|tools|out)\/|\.map$/.test(file))).toEqual([]);
  const { types } = JSON.parse(await readFile(path('package.json'), 'utf8')).exports['.'];
  expect(types).toBe('./dist/types/library.d.ts');
});

it('runs as a command by itself', async () => {
  const { bin } = JSON.parse(await readFile(path('package.json'), 'utf8'));
  const built = await readFile(path(bin.sinkscope), 'utf8');
  expect(built.slice(0, built.indexOf('\n'))).toBe('#!/usr/bin/env node');
});

it('is built before it is published: npm is told to run no script by itself', async () => {
  expect(await readFile(path('.npmrc'), 'utf8')).toMatch(/^ignore-scripts=true$/m);
  const steps = (await readFile(path('.github/workflows/release.yml'), 'utf8')).split(/^ {6}- /m);
  const publishing = steps.filter((step) => /\bnpm publish\b/.test(step));
  expect(publishing).toEqual([expect.stringMatching(/^ *npm run prepack$[\s\S]*^ *npm publish /m)]);
});
