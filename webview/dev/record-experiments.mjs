/**
 * Records what the experiments show, for the harness and for tests of what is drawn:
 * `npm run build && node webview/dev/record-experiments.mjs FOLDER [id …]` writes `runs/experiments.json`, where FOLDER
 * has what `tools/quantise.py` writes. With ids, what is recorded of the others stays as it is.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

await build({
  absWorkingDir: root,
  stdin: {
    contents: `export { Engine } from './src/engine/host/engine.js';
      export { experiments } from './src/experiments/catalogue.js';
      export { defaultThresholds } from './src/analysis/thresholds.js';
      export { withWeight } from './test/support/weight.js';`,
    resolveDir: root,
  },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  outfile: 'dist/record.cjs',
  logLevel: 'warning',
});
const { Engine, experiments, defaultThresholds, withWeight } = createRequire(import.meta.url)(`${root}/dist/record.cjs`);
const [quantised, ...wanted] = process.argv.slice(2);
if (quantised === undefined) throw new Error('Give the folder that tools/quantise.py has written.');

const engine = new Engine(`${root}/dist/engine.js`);
const setup = { engine, memory: 2 ** 30, threads: 0, bos: undefined, part: 'first', thresholds: defaultThresholds };
const demo = (name) => `${root}/media/models/${name}/model.onnx`;
const fixture = (name, file = 'model.onnx') => `${root}/test/zoo/fixtures/${name}/${file}`;
const named = async (file) => ({ name: basename(file), text: await readFile(`${root}/${file}`, 'utf8') });
const together = (text) => ({ name: text.name, texts: [text] });

/** A fixture of which one weight is changed, so that something is massive in it. */
const planted = await mkdtemp(join(tmpdir(), 'record-'));
async function plant(name, weight, element, change) {
  const file = join(planted, `${name}-planted`, 'model.onnx');
  await mkdir(dirname(file));
  await writeFile(file, withWeight(fixture(name), weight, element, change));
  return file;
}

const sample = await named('media/sample.md');
const text = await named('test/text/three-men-in-a-boat.md');
const calibration = await named('test/text/pit-and-pendulum.md');
const pixels = [0, 1, 2, 3].map((i) => `${root}/test/references/pixels/${i}.safetensors`);
const vit = 'dinov2_with_registers-dynamo-op18';
const gnn = 'gnn-ts-op17';
const models = ['llama', 'llama-plain', 'llama-sink', 'llama-bias'].map(demo);

/** By experiment, what it is given, and the model where that is not `llama`. */
const given = {
  perplexity: [{ text, tokens: 4096 }],
  interventions: [{ text, calibration, tokens: 2048 }],
  survey: [{ texts: together(text), sequences: 20 }],
  domains: [{ texts: together(text), other: together(calibration), sequences: 8 }],
  bias: [{ text: sample }],
  compare: [{ texts: together(text), tokens: 2048, models }],
  weights: [{ text, calibration, tokens: 2048 }],
  finetune: [
    {
      ...{ text, heldOut: calibration, tokens: 4096, window: 64, batch: 2, steps: 60 },
      ...{ macdrop: 0.8, compare: true, save: join(planted, 'tuned') },
    },
  ],
  outliers: [{ text }],
  precision: [{ text }],
  'compare-quantised': [{ text, tokens: 2048, quantised: join(quantised, 'llama-int8/model.onnx') }],
  doctor: [{ text, tokens: 510, against: join(quantised, 'llama-int8/model.onnx') }],
  lens: [{ text: sample }],
  streaming: [{ text, tokens: 2048 }],
  prefix: [{ text, tokens: 2048 }, demo('llama-sink')],
  generate: [{ text: { name: 'The cat sat on the', text: 'The cat sat on the' }, tokens: 12 }],
  gradients: [{ text: sample }],
  cancelling: [{ text: sample }],
  intervene: [{ text: sample }],
  vision: [{ images: pixels }, await plant(vit, 'm.embeddings.register_tokens', 40, (value) => value + 20_000)],
  ratios: [
    { untrained: fixture(gnn), feeds: [fixture(gnn, 'golden.safetensors')], tail: 0.01 },
    // Edge feature 3, head 2 of four, in block 2.
    await plant(gnn, 'onnx::MatMul_277', 3 * 4 + 2, (weight) => 200 * weight),
  ],
};

const target = new URL('runs/experiments.json', import.meta.url);
const before = wanted.length > 0 ? JSON.parse(await readFile(target, 'utf8')).runs : [];
const runs = [];
for (const { id, title, inputs, run } of experiments) {
  if (given[id] === undefined) continue;
  const kept = wanted.length > 0 && !wanted.includes(id) && before.find(({ experiment }) => experiment === id);
  if (kept) {
    runs.unshift({ ...kept, number: runs.length + 1 });
    continue;
  }
  const [values, model = demo('llama')] = given[id];
  const chosen = Object.keys(inputs).find((name) => inputs[name].kind === 'model' && inputs[name].chosen);
  const steps = run(setup, { ...values, ...(chosen && { [chosen]: model }) }, new AbortController().signal);
  let step = await steps.next();
  while (!step.done) step = await steps.next();
  const { presentation, file } = step.value;
  console.log(`${id}: ${presentation.sentence}`);
  const name = chosen ? `${title} · ${basename(dirname(model))}` : title;
  runs.unshift({ number: runs.length + 1, experiment: id, title: name, status: 'finished', presentation, ...(file && { hasFile: true }) });
}
engine.dispose();
await rm(planted, { recursive: true });

// Six digits are enough to look at, and where the repository lies is nobody's business.
const rounded = (_, value) => {
  if (typeof value === 'string') return value.replace(`${root}/`, '').replace(`${planted}/`, '');
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
};
await writeFile(target, `${JSON.stringify({ runs }, rounded)}\n`);
