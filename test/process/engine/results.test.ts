/** Saved results, read again as a stranger's: equal to the run that they are of, and harmless where they are none. */
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, vi } from 'vitest';
import { type Analysis, emptyAnalysis, fold } from '../../../src/analysis/analysis.js';
import { toJson } from '../../../src/analysis/result.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import type { RunEvent } from '../../../src/engine/contract/events.js';
import { answerFromTensors } from '../../../src/engine/jobs/savedTensors.js';
import { classified, mixed, type Run, synthetic, translated } from '../../../webview/dev/runs.js';
import { startEngine } from '../../support/engine.js';
import { demo, root, temporaryFolder } from '../../support/files.js';

const engine = startEngine();
const folder = await temporaryFolder();
const thresholds = { ...defaultThresholds, epsilon: 0.25 };

async function read(file: string): Promise<{ analysis: Analysis; thresholds: unknown }> {
  const events: RunEvent[] = [];
  for await (const event of engine.run('result', { file })) {
    if (event.type === 'failed') throw Object.assign(new Error(event.problem.message), event.problem);
    if (event.type === 'result')
      return {
        analysis: [...events, ...(event.finished ? [event.finished] : [])].reduce(fold, emptyAnalysis),
        thresholds: event.thresholds,
      };
    events.push(event);
  }
  throw new Error('no answer');
}

let files = 0;
async function written(content: unknown): Promise<string> {
  const file = join(folder, `${files++}.sinkscope.json`);
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

const folded = ({ events }: Pick<Run, 'events'>) => events.reduce(fold, emptyAnalysis);
/** What is said of the machine is left behind. */
const elsewhere = (analysis: Analysis): Analysis => ({
  ...analysis,
  started: analysis.started && {
    ...analysis.started,
    model: { ...analysis.started.model, file: analysis.started.model.file.replace(/^.*[\\/]/, '') },
  },
});

it('are the runs that they are of: what the command line prints, read and printed again', async () => {
  const cli = join(root, 'dist/cli.js');
  const given = ['analyze', 'llama', '--text', 'Summer is warm.', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, [cli, ...given]);
  const printed = JSON.parse(stdout);
  const { analysis } = await read(await written(stdout));
  expect(analysis.layers).toHaveLength(9);
  const again = JSON.parse(JSON.stringify(toJson(analysis, defaultThresholds)));
  expect(again).toEqual({ ...printed, model: { ...printed.model, file: 'model.onnx' } });
});

it.each(
  Object.entries({
    classified,
    mixed,
    translated,
    extra: () => synthetic({ layers: 3, tokens: 9, dims: 8, heads: 2, extra: true }),
  }),
)('hold all that a run says: %s', async (_, make) => {
  const run = folded(make());
  const found = await read(await written(toJson(run, thresholds)));
  expect(found).toEqual({ analysis: elsewhere(run), thresholds });
});

it('are what had come of a run that had not ended', async () => {
  const { events } = synthetic({ layers: 3, tokens: 9, dims: 8, heads: 2 });
  const run = folded({ events: events.slice(0, 6) });
  const found = await read(await written(toJson(run, thresholds)));
  expect(found).toEqual({ analysis: elsewhere(run), thresholds });
});

it('are answered for by the tensors beside them, as by the model, and by those of no other run', async () => {
  const own = join(folder, 'own');
  await mkdir(own);
  const file = join(own, 'a.sinkscope.json');
  const run = async (text: string, save: string) => {
    const events: RunEvent[] = [];
    const request = { model: demo, prompt: { text }, attention: true, memory: 1e9, threads: 1 };
    for await (const event of engine.analyze({
      ...request,
      save: { file: save, attention: true, mlp: false, logits: false },
    }))
      events.push(event);
    return events.reduce(fold, emptyAnalysis);
  };
  const most = { rows: 5, columns: 50 };
  const questions = [
    { type: 'magnitudes', over: 'tokens', at: 3, most },
    { type: 'magnitudes', over: 'layers', at: 2, most },
    { type: 'pattern', layer: 2, head: 1 },
  ] as const;
  await writeFile(
    file,
    JSON.stringify(toJson(await run('Summer is warm.', join(own, 'kept.safetensors')), thresholds)),
  );
  for (const question of questions) expect(await engine.saved(file, question)).toEqual(await engine.query(question));
  await expect(engine.saved(file, { type: 'pattern', layer: 2, head: 4 })).rejects.toMatchObject({ code: 'input' });
  // As many tokens, and other ones.
  await run('Winter is cold.', join(own, 'kept.safetensors'));
  for (const question of questions) {
    const refused = { code: 'input', message: expect.stringContaining('of another run') };
    await expect(engine.saved(file, question)).rejects.toMatchObject(refused);
  }
});

it('are read once for many questions, and again when they or their tensors have changed', async () => {
  const file = join(folder, 'asked.sinkscope.json');
  const tensors = join(folder, 'asked.sinkscope.safetensors');
  const save = { file: tensors, attention: false, mlp: false, logits: false };
  const saved = async (text: string) => {
    const events: RunEvent[] = [];
    const request = { model: demo, prompt: { text }, attention: true, memory: 1e9, threads: 1, save };
    for await (const event of engine.analyze(request)) events.push(event);
    await writeFile(file, JSON.stringify(toJson(events.reduce(fold, emptyAnalysis), thresholds)));
  };
  const parse = vi.spyOn(JSON, 'parse');
  // The result and the header of its tensors; what the runner of tests is told meanwhile is JSON as well.
  const read = () => parse.mock.calls.filter(([text]) => /^\{"(sinkscope|hidden\.0)"/.test(text)).length;
  const ask = (at: number) =>
    answerFromTensors(file, { type: 'magnitudes', over: 'tokens', at, most: { rows: 5, columns: 50 } });
  await saved('Summer is warm.');
  const [first] = [await ask(1), await ask(2), await ask(3)];
  expect(read()).toBe(2);
  await saved('Winter is cold and dark.');
  expect(await ask(1)).not.toEqual(first);
  expect(read()).toBe(4);
  await rm(tensors);
  await expect(ask(1)).rejects.toMatchObject({ code: 'input', message: expect.stringContaining('No tensors lie') });
});

it('are refused in a sentence where they are none, contradict themselves or claim more than is shown', async () => {
  const good = toJson(folded(synthetic({ layers: 2, tokens: 5, dims: 8, heads: 2 })), thresholds);
  const layer = good.layers[1];
  if (!layer) throw new Error('layers');
  const bad: readonly (readonly [content: unknown, why: RegExp])[] = [
    ['', /not JSON/],
    ['null', /all of it|sinkscope/],
    [{ ...good, sinkscope: 2 }, /has version 2/],
    [{ ...good, tokens: [] }, /no tokens/],
    [{ ...good, model: { ...good.model, layers: 1e9 } }, /model\.layers/],
    [{ ...good, model: { ...good.model, layers: 3 } }, /3 hidden states for 3 layers/],
    [{ ...good, model: { ...good.model, hidden: 7 } }, /layers\.0 has other tokens or dims/],
    [{ ...good, layers: [good.layers[0], { ...layer, token_max: [1] }, good.layers[2]] }, /layers\.1 has other/],
    [{ ...good, layers: [good.layers[0], { ...layer, top: [{ value: 1, token: 5, dim: 0 }] }, good.layers[2]] }, /top/],
    [{ ...good, layers: [good.layers[0], { ...layer, dim_max: 'x' }, good.layers[2]] }, /layers\.1\.dim_max/],
    [{ ...good, sinks: { ...good.sinks, alpha: [[[1]], null] } }, /sinks\.alpha\.0/],
    [{ ...good, sinks: { ...good.sinks, alpha: Array(9).fill(null) } }, /more blocks than layers/],
    [{ ...good, predictions: { token: 5, top: [] } }, /predicts after/],
    [
      { ...good, seconds: null, model: { ...good.model, layers: 4096 }, tokens: Array(2 ** 14).fill(good.tokens[0]) },
      /more layers and tokens/,
    ],
  ];
  for (const [content, why] of bad) {
    const file = await written(content);
    await expect(read(file)).rejects.toMatchObject({ code: 'input', file, message: expect.stringMatching(why) });
  }
  const directory = join(folder, 'a.sinkscope.json');
  await mkdir(directory);
  await expect(read(directory)).rejects.toMatchObject({
    code: 'input',
    message: expect.stringMatching(/no plain file/),
  });
  await expect(read(join(folder, 'none'))).rejects.toMatchObject({ code: 'file' });
  // And names of files in it are no paths.
  const hostile = {
    ...good,
    model: { ...good.model, file: '/etc/passwd' },
    picture: { file: 'C:\\secret\\a.png', width: 1, height: 1, prepared: [] },
  };
  const { analysis } = await read(await written(hostile));
  expect([analysis.started?.model.file, analysis.tokens?.picture?.file]).toEqual(['passwd', 'a.png']);
});
