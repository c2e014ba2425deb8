/** The experiment that docs/adding.md makes works as it stands there. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { expect, it } from 'vitest';
import { partInWords } from '../../../src/cli/table.js';
import { type Experiment, finish } from '../../../src/experiments/experiment.js';
import { budget, demoModel, startEngine, text, thresholds } from '../../support/experiments.js';
import { at } from '../../support/lists.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The files that the page shows whole, by path. */
const files = new Map(
  Array.from(
    readFileSync(join(root, 'docs/adding.md'), 'utf8').matchAll(
      /\*\*`([\w/]+\.ts)`\*\*[^\n]*\n\n```ts\n([\s\S]*?)```/g,
    ),
    ([, path = '', contents = '']) => [join(root, path), contents],
  ),
);

/** Files of the page in place of files on disk. */
const page: Plugin = {
  name: 'page',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\./ }, ({ path, resolveDir, namespace }) => {
      const file = join(resolveDir, path).replace(/\.js$/, '.ts');
      if (files.has(file)) return { path: file, namespace: 'page' };
      return namespace === 'page' ? { path: file } : undefined;
    });
    onLoad({ filter: /.*/, namespace: 'page' }, ({ path }) => {
      return { contents: files.get(path), loader: 'ts', resolveDir: dirname(path) };
    });
  },
};

async function norms(): Promise<Experiment> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: { contents: "export { norms } from './src/experiments/norms/index.js';", resolveDir: root },
    plugins: [page],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
  });
  const module: { exports: { norms?: Experiment } } = { exports: {} };
  new Function('module', 'exports', 'require', at(outputFiles, 0).text)(
    module,
    module.exports,
    createRequire(import.meta.url),
  );
  if (!module.exports.norms) throw new Error('the page defines no norms');
  return module.exports.norms;
}

it('the experiment of docs/adding.md runs, is shown, and has its JSON', async () => {
  expect([...files.keys()].map((file) => file.slice(root.length))).toEqual(
    ['compute', 'present', 'index'].map((name) => `src/experiments/norms/${name}.ts`),
  );
  const { run, ...facts } = await norms();
  expect(facts.inputs).toEqual(JSON.parse(JSON.stringify(facts.inputs)));
  const setup = { ...budget, engine: startEngine(), bos: undefined, part: undefined, thresholds };
  const given = { model: demoModel('llama'), text: { name: 'sample.md', text: text('media/sample.md') } };
  const { presentation, json } = await finish(run(setup, given, new AbortController().signal));
  expect(presentation.sentence).toMatch(/^The first token is at most [\d.]+ × as long as the others, at h_2\.$/);
  expect(json).toMatchObject({ T: 105, file: null, conclusion: presentation.sentence, warnings: [] });
  expect(partInWords(at(presentation.parts, 0))).toMatch(
    /^\nHow long hidden states are\n +layer +first token +mean of/,
  );
});
