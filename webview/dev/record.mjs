/**
 * Records a run of the default model for the harness, with predictions and patterns for every token and head:
 * `npm run build && node webview/dev/record.mjs harris "Summer is warm. …"` writes `runs/harris.json`.
 */
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
const [name, text] = process.argv.slice(2);

await build({
  absWorkingDir: root,
  entryPoints: ['src/engine/host/engine.ts'],
  bundle: true,
  platform: 'node',
  format: 'cjs',
  outfile: 'dist/record.cjs',
  logLevel: 'warning',
});
const { Engine } = createRequire(import.meta.url)(`${root}/dist/record.cjs`);
const engine = new Engine(`${root}/dist/engine.js`);

const events = [];
const request = { model: `${root}/media/models/llama/model.onnx`, prompt: { text }, attention: true };
for await (const event of engine.analyze({ ...request, memory: 2 ** 30, threads: 0 })) events.push(event);
const last = events.at(-1);
if (last.type === 'failed') throw new Error(last.problem.message);

const [{ model }, { tokens }] = events;
const predictions = [];
for (let token = 0; token < tokens.length; token++) {
  predictions.push(await engine.query({ type: 'predictions', token }));
}
const patterns = [];
for (let layer = 1; layer <= model.layers; layer++) {
  const heads = [];
  for (let head = 0; head < model.heads; head++) {
    const { queries, keys, values } = await engine.query({ type: 'pattern', layer, head });
    const lower = Array.from({ length: queries }, (_, row) => [...values.slice(row * keys, row * keys + row + 1)]).flat();
    heads.push(Buffer.from(lower.map((weight) => Math.round(weight * 255))).toString('base64'));
  }
  patterns.push(heads);
}
engine.dispose();

// Whose machine it ran on is nobody's business, and six digits are enough to look at.
const recorded = { events: [{ ...events[0], model: { ...model, file: 'models/llama/model.onnx' } }, ...events.slice(1)] };
const rounded = (_, value) => {
  if (ArrayBuffer.isView(value)) return Array.from(value, (item) => Number(item.toPrecision(6)));
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
};
await writeFile(
  new URL(`runs/${name}.json`, import.meta.url),
  JSON.stringify({ ...recorded, predictions, patterns }, rounded),
);
