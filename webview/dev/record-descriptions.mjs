/**
 * Records what the engine says of some files, for the harness and the tests of the editor of models:
 * `npm run build && node webview/dev/record-descriptions.mjs` writes `runs/descriptions.json`.
 */
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

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

/** By the name that the harness has for them; all from the repository. */
const files = {
  llama: 'media/models/llama/model.onnx',
  plain: 'media/models/llama-plain/model.onnx',
  int4: 'test/zoo/fixtures/llama-genai-int4/model.onnx',
  fp32: 'test/zoo/fixtures/llama-genai-fp32/model.onnx',
  experts: 'test/zoo/fixtures/mixtral-dynamo-op18/model.onnx',
};
/** Where the repository lies is nobody's business; the recorded run of `llama` names it as it is packaged. */
const told = (value) =>
  JSON.parse(JSON.stringify(value).replaceAll(`${root}media/`, '').replaceAll(root, '').replaceAll('media/models', 'models'));

const descriptions = {};
for (const [name, file] of Object.entries(files)) descriptions[name] = told(await engine.describe(`${root}${file}`));
const weight = await engine.weight(`${root}${files.llama}`, 'wte');
engine.dispose();
await writeFile(new URL('runs/descriptions.json', import.meta.url), `${JSON.stringify({ descriptions, weight })}\n`);
