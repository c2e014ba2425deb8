/**
 * The engine's own run in a process of its own, with all rows of logits computed as `--save --logits` does, but
 * written nowhere: what is measured is the analysis, not the disk. Answers every message with a run.
 */
import type { RunRequest } from '../../src/engine/contract/events.js';
import { readPrompt } from '../../src/engine/inputs/read.js';
import { runThrough } from '../../src/engine/jobs/analyze.js';
import type { Saver } from '../../src/engine/jobs/save.js';
import { Inside } from '../../src/engine/questions/inside.js';
import { loadModel } from '../../src/engine/stages/loaded.js';
import { StageRunner } from '../../src/engine/stages/runner.js';

const [model = '', count = '', threads = '0'] = process.argv.slice(2);
const loaded = loadModel(model);
const runner = new StageRunner(loaded, Number(threads));
const nothing = async () => {};
const saver: Saver = {
  rows: nothing,
  pattern: nothing,
  routing: nothing,
  finish: nothing,
  abort: nothing,
  outputs: nothing,
  async logits(head, values, tokens, keep) {
    const logits = await head.logits(values, 0, tokens, keep);
    return logits.subarray(-logits.length / tokens);
  },
};
const request: RunRequest = {
  model,
  prompt: { ids: Array.from({ length: Number(count) }, (_, i) => (i * 7919) % 30000) },
  attention: false,
  memory: 2 ** 33,
  threads: Number(threads),
  save: { file: '', attention: false, mlp: false, logits: true },
};

process.on('message', async () => {
  const limits = { file: model, inputs: loaded.anatomy.inputs, vocabulary: undefined, context: 2 ** 20, because: '' };
  const prompt = await readPrompt(request, limits, () => undefined);
  const inside = new Inside(loaded, runner, request, prompt);
  await runThrough(inside, { request, prompt, saver, emit: nothing }, true);
  process.send?.('done');
});
