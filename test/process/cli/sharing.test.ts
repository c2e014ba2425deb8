/** What `--report` and `--markdown` write, by the built command line. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { emptyAnalysis, fold } from '../../../src/analysis/analysis.js';
import { toJson } from '../../../src/analysis/result.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import { readToWebview, type ToWebview } from '../../../src/protocol.js';
import { unpack } from '../../../src/report/pack.js';
import { path, sinkscope } from './here.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** What the panel of a report is told; every message is one that the panel understands. */
async function told(file: string): Promise<ToWebview[]> {
  const html = await readFile(file, 'utf8');
  const packed = Buffer.from(/id="contents">([^<]+)</.exec(html)?.[1] ?? '', 'base64');
  const { messages } = unpack(packed) as { messages: unknown[] };
  return messages.map((message) => {
    const read = readToWebview(message);
    if (!read) throw new Error(`the panel does not understand ${JSON.stringify(message).slice(0, 200)}`);
    return read;
  });
}

it('a report holds the whole run, of which the panel folds what --json prints', async () => {
  const file = join(folder, 'run.html');
  const asked = ['--file', path('media/sample.md')];
  const { code, stdout, stderr } = await sinkscope('analyze', 'llama', ...asked, '--json', '--report', file);
  expect([code, stderr]).toEqual([0, '']);
  const replay = (await told(file)).find((message) => message.type === 'replay');
  const shown = (replay?.events ?? []).reduce(fold, emptyAnalysis);
  const { seconds, first_layer_seconds, model, ...expected } = JSON.parse(stdout);
  const json: unknown = JSON.parse(JSON.stringify(toJson(shown, defaultThresholds)));
  // But for where the model lies on this machine.
  expect(json).toMatchObject({ ...expected, model: { ...model, file: 'model.onnx' } });
});

it('an experiment is a report and Markdown as well, and a place that cannot be written to is told before it runs', async () => {
  const file = join(folder, 'lens.html');
  const lens = ['lens', 'llama', '--file', path('media/sample.md')];
  const { code, stdout } = await sinkscope(...lens, '--report', file, '--markdown');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^### Logit lens\n\n[^|]+\n\n#### [^\n]+\n\n\|/);
  const experiments = (await told(file)).flatMap((message) =>
    message.type === 'experiments' && message.message.kind === 'runs' ? message.message.runs : [],
  );
  expect(experiments.map(({ experiment, status }) => [experiment, status])).toEqual([['lens', 'finished']]);
  const nowhere = await sinkscope(...lens, '--report', join(folder, 'none', 'a.html'));
  expect(nowhere.stderr).toMatch(/the folder .* does not exist/);
});
