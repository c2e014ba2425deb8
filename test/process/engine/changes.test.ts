/** A model whose files change under us is another model. */
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { collect, failure, only, request, startEngine } from '../../support/engine.js';
import { demo, fixture, temporaryFolder } from '../../support/files.js';
import { trainOn } from '../../support/weight.js';

const engine = startEngine();
const folder = await temporaryFolder();

const prompt = { ids: [1, 5, 9, 2, 7] };
const hidden = async (model: string, runner = engine) =>
  only(await collect(runner.analyze(request(model, prompt))), 'layer').map(({ statistics }) => statistics.tokenNorm);

let model: string;
beforeEach(() => {
  rmSync(join(folder, 'model'), { recursive: true, force: true });
  cpSync(dirname(fixture('llama-dynamo-op18-ext').model), join(folder, 'model'), { recursive: true });
  model = join(folder, 'model/model.onnx');
});

it('weights beside an untouched model are read again when they are replaced', async () => {
  const weights = `${model}.data`;
  const first = readFileSync(weights);
  trainOn(model);
  renameSync(weights, `${weights}.trained`);
  writeFileSync(weights, first);
  // From the second run on, sessions stay, with what they have read.
  await hidden(model);
  const before = await hidden(model);
  // As a program that exports does it: another file of that name.
  renameSync(`${weights}.trained`, weights);
  const after = await hidden(model);
  expect(after).not.toEqual(before);
  expect(after).toEqual(await hidden(model, startEngine()));
});

it('a configuration that appears counts from the next run on', async () => {
  const context = async () => only(await collect(engine.analyze(request(model, prompt))), 'started')[0]?.model.context;
  expect(await context()).not.toBe(7);
  writeFileSync(join(folder, 'model/config.json'), JSON.stringify({ max_position_embeddings: 7 }));
  expect(await context()).toBe(7);
});

it('a tokenizer that is replaced is read again', async () => {
  cpSync(dirname(demo), join(folder, 'model'), { recursive: true });
  const tokens = async () =>
    only(await collect(engine.analyze(request(model, { text: 'Summer' }))), 'tokens')[0]?.tokens.map(
      ({ text }) => text,
    );
  const before = await tokens();
  const file = join(folder, 'model/tokenizer.json');
  const json = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...json, post_processor: null, normalizer: { type: 'Lowercase' } }));
  expect(await tokens()).not.toEqual(before);
});

it('a change during a run is said, and nothing can be asked about that run', async () => {
  // What a run saves here becomes a file that belongs to the model.
  const save = { file: join(folder, 'model/generation_config.json'), attention: false, mlp: false, logits: false };
  const events = await collect(engine.analyze(request(model, prompt, { save })));
  expect(failure(events)?.message).toMatch(/changed while the model was run; run it again\.$/);
  await expect(engine.query({ type: 'predictions', token: 0 })).rejects.toThrow(/did not finish/);
  rmSync(save.file);
  expect(failure(await collect(engine.analyze(request(model, prompt))))).toBeUndefined();
});
