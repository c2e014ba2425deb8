/** The experiment that docs/adding.md makes works as it stands there. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import * as v from 'valibot';
import { expect, it } from 'vitest';
import { partInWords } from '../../../src/cli/table.js';
import { type Experiment, finish } from '../../../src/experiments/experiment.js';
import { DataType } from '../../../src/onnx/model.js';
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
    onResolve({ filter: /^[^./]/ }, ({ path }) => ({ path, external: true }));
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

/** What the page's code exports, and what it imports from the project with it. */
async function exportsOf<Exports>(contents: string): Promise<Exports> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: { contents, resolveDir: root },
    plugins: [page],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
  });
  const module = { exports: {} };
  new Function('module', 'exports', 'require', at(outputFiles, 0).text)(
    module,
    module.exports,
    createRequire(import.meta.url),
  );
  return module.exports as Exports;
}

it('docs/adding.md shows whole files of an experiment and a question', () => {
  expect([...files.keys()].map((file) => file.slice(root.length))).toEqual([
    ...['compute', 'present', 'index'].map((name) => `src/experiments/norms/${name}.ts`),
    ...['question', 'answer'].map((name) => `src/engine/questions/added/${name}.ts`),
  ]);
});

it('the experiment of docs/adding.md runs, is shown, and has its JSON', async () => {
  const { norms } = await exportsOf<{ norms: Experiment }>("export * from './src/experiments/norms/index.js';");
  const { run, ...facts } = norms;
  expect(facts.inputs).toEqual(JSON.parse(JSON.stringify(facts.inputs)));
  const setup = { ...budget, engine: startEngine(), bos: undefined, part: undefined, thresholds };
  const given = { model: demoModel('llama'), text: { name: 'sample.md', text: text('media/sample.md') } };
  const { presentation, json } = await finish(run(setup, given, new AbortController().signal));
  expect(presentation.sentence).toMatch(/^The first token is at most [\d.]+ × as long as the others, at h_2\.$/);
  expect(json).toMatchObject({ T: 105, file: null, conclusion: presentation.sentence, warnings: [] });
  expect(partInWords(at(presentation.parts, 0)).join('\n')).toMatch(
    /^\nHow long hidden states are\n +layer +first token +mean of/,
  );
});

it('the question of docs/adding.md is checked and answered', async () => {
  const { addedQuestion, answerAdded } = await exportsOf<{
    addedQuestion: { schema: v.GenericSchema };
    answerAdded: (run: object, question: object) => Promise<object>;
  }>(
    "export * from './src/engine/questions/added/question.js'; export * from './src/engine/questions/added/answer.js';",
  );
  expect(v.is(addedQuestion.schema, { type: 'added', layer: 1 })).toBe(true);
  expect(v.is(addedQuestion.schema, { type: 'added', layer: 0 })).toBe(false);
  /** Two tokens of two dimensions, which a block moves by (3, 4) and (0, -2). */
  const states = [
    [1, 1, 5, 5],
    [4, 5, 5, 3],
  ].map((data) => ({ type: DataType.float, dims: [1, 2, 2], data: Float32Array.from(data) }));
  const run = { tokens: 2, checkLayer: () => {}, state: async (layer: number) => at(states, layer) };
  expect(await answerAdded(run, { type: 'added', layer: 1 })).toEqual({ norms: Float32Array.of(5, 2) });
});
