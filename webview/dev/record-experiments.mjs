/**
 * Records what the experiments show of the default model, for the harness and for tests of what is drawn:
 * `npm run build && node webview/dev/record-experiments.mjs` writes `runs/experiments.json`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

await build({
  absWorkingDir: root,
  stdin: {
    contents: `export { Engine } from './src/engine/engine.js';
      export { experiments } from './src/experiments/catalogue/catalogue.js';
      export { defaultThresholds } from './src/analysis/thresholds.js';`,
    resolveDir: root,
  },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  outfile: 'dist/record.cjs',
  logLevel: 'warning',
});
const { Engine, experiments, defaultThresholds } = createRequire(import.meta.url)(`${root}/dist/record.cjs`);
const engine = new Engine(`${root}/dist/engine.js`);
const model = (name) => `${root}/media/models/${name}/model.onnx`;
const setup = { engine, memory: 2 ** 30, threads: 0, bos: undefined, thresholds: defaultThresholds };

const named = async (file) => ({ name: basename(file), text: await readFile(`${root}/${file}`, 'utf8') });
const sample = await named('media/sample.md');
const text = await named('test/text/three-men-in-a-boat.md');
const calibration = await named('test/text/pit-and-pendulum.md');
const given = {
  perplexity: { text, tokens: 4096 },
  interventions: { text, calibration, tokens: 2048 },
  survey: { text, sequences: 20 },
  bias: { text: sample },
  compare: {
    text,
    tokens: 2048,
    models: ['llama', 'llama-plain', 'llama-sink', 'llama-bias'].map(model),
  },
  weights: { text, calibration, tokens: 2048 },
  outliers: { text },
  lens: { text: sample },
  streaming: { text, tokens: 2048 },
  intervene: { text: sample },
};

const runs = [];
for (const { id, title, run } of experiments) {
  if (given[id] === undefined) continue;
  const signal = new AbortController().signal;
  let presentation;
  for await (const step of run({ ...setup, model: model('llama') }, given[id], signal)) presentation = step.presentation;
  console.log(`${id}: ${presentation.sentence}`);
  runs.unshift({ number: runs.length + 1, experiment: id, title: id === 'compare' ? title : `${title} · llama`, status: 'finished', presentation });
}
engine.dispose();

const facts = experiments.map(({ id, title, description, inputs }) => ({ id, title, description, inputs }));
const texts = { text: text.name, calibration: calibration.name };
// Six digits are enough to look at.
const rounded = (_, value) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
await writeFile(
  new URL('runs/experiments.json', import.meta.url),
  `${JSON.stringify({ choices: { kind: 'choices', experiments: facts, texts }, runs }, rounded)}\n`,
);
