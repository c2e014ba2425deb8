import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as vscode from 'vscode';
import type { Api } from '../../src/extension/extension.js';
import type { ExperimentRun } from '../../src/protocol.js';
import { analyze, api, closeEditors, open, repositoryFile, until } from './support.js';

const references = JSON.parse(readFileSync(repositoryFile('test', 'references', 'experiments.json'), 'utf8'));
const boats = vscode.Uri.file(repositoryFile('test', 'text', 'three-men-in-a-boat.md'));

/** Runs the command of an experiment and gives its run at the end. */
async function run(command: string, given?: Record<string, unknown>): Promise<ExperimentRun> {
  const found = await vscode.commands.executeCommand<ExperimentRun>(`sinkscope.${command}`, given);
  assert.ok(found, 'nothing was run');
  return found;
}

describe('experiments', () => {
  let sinkscope: Api;
  before(async () => {
    sinkscope = await api();
  });
  afterEach(async () => {
    for (const { number } of sinkscope.experiments.runs) sinkscope.experiments.close(number);
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
  });

  it('measures the perplexity that PyTorch has, with progress', async () => {
    const said: string[] = [];
    const subscription = sinkscope.experiments.onDidChange((change) => {
      if (change.type === 'run' && change.run.progress) said.push(change.run.progress.text);
    });
    const { status, presentation, problem } = await run('perplexity', { text: boats, tokens: 1500, stride: 128 });
    subscription.dispose();
    assert.equal(status, 'finished', problem?.message);
    const expected = references.perplexity.find(
      (one: Record<string, unknown>) =>
        one.model === 'llama' &&
        `${one.file}`.endsWith('three-men-in-a-boat.md') &&
        one.maxTokens === 1500 &&
        one.window === 256 &&
        one.stride === 128,
    );
    assert.ok(expected, 'there is no such reference');
    const [table] = presentation?.parts ?? [];
    assert.ok(table?.kind === 'table');
    const [value] = table.rows[0];
    assert.ok(Math.abs(Number(value) / expected.perplexity - 1) < 1e-4, `${value} is not ${expected.perplexity}`);
    assert.match(said[0] ?? '', /^window 1 of 10 · perplexity [\d.]+$/);
    assert.ok(presentation?.settings.some(({ name, value }) => name === 'T' && value === '256 tokens'));
  });

  it('sets the massive entry of the analyzed text to zero, and leaves the run as it is', async () => {
    await open('Summer is warm. Winter is cold. Autumn is in between, and so is spring.');
    const { number } = await analyze(sinkscope);
    const { presentation, problem } = await run('intervene', { set: 'zero', tokens: '0', dims: '239', block: '2' });
    const [difference] = presentation?.parts ?? [];
    assert.ok(difference?.kind === 'heatmap', problem?.message);
    const width = difference.columns.labels.length;
    assert.equal(width, sinkscope.analyses.run?.analysis.tokens?.tokens.length);
    assert.equal(difference.values[0], 0);
    assert.ok(Number(difference.values[2 * width]) < -0.5, 'the massive entry is still there');
    assert.equal(sinkscope.analyses.run?.number, number);
    // The run that is shown still answers: the experiment had an engine of its own.
    const { rows } = await sinkscope.analyses.engine.query({
      type: 'lens-rows',
      layer: 8,
      point: 'resid_post',
      top: 1,
    });
    assert.equal(rows.length, width);
  });

  it('stops at once, and says so', async () => {
    const running = run('perplexity', { text: boats, window: 64 });
    await until(() => sinkscope.experiments.runs[0]?.progress !== undefined);
    await vscode.commands.executeCommand('sinkscope.stopExperiment');
    const { status, problem } = await running;
    assert.deepEqual([status, problem?.code], ['failed', 'cancelled']);
    assert.equal(sinkscope.experiments.running, false);
  });

  it('says what went wrong where its result would be', async () => {
    await open('Too short.');
    const { status, problem } = await run('perplexity');
    assert.equal(status, 'failed');
    assert.match(problem?.message ?? '', /fewer than the 255 that fill one window/);
  });
});
