import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as vscode from 'vscode';
import type { Api } from '../../src/extension/extension.js';
import { Store } from '../../src/extension/store.js';
import type { ExperimentRun } from '../../src/protocol.js';
import { at } from '../support/lists.js';
import { analyze, api, closeEditors, configure, inWorkspace, open, repositoryFile, until } from './support.js';

const references = JSON.parse(readFileSync(repositoryFile('test', 'references', 'experiments.json'), 'utf8'));
const boats = vscode.Uri.file(repositoryFile('test', 'text', 'three-men-in-a-boat.md'));

const bundled = (name: string) => repositoryFile('media', 'models', name, 'model.onnx');

/** What the command line prints. The extension host is not held up meanwhile. */
async function sinkscopeCli(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('node', [repositoryFile('dist', 'cli.js'), ...args]);
  return stdout;
}

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
    // The text has CR LF, which the model is given as LF.
    const of = { model: 'llama', file: 'test/text/three-men-in-a-boat.md', maxTokens: 1500, stride: 128 };
    const expected = references.perplexity.find((one: object) =>
      Object.entries(of).every(([key, value]) => new Map(Object.entries(one)).get(key) === value),
    );
    assert.ok(expected, 'there is no such reference');
    const [table] = presentation?.parts ?? [];
    assert.ok(table?.kind === 'table');
    const value = at(table.rows, 0, 0);
    assert.ok(Math.abs(Number(value) / expected.perplexity - 1) < 1e-4, `${value} is not ${expected.perplexity}`);
    assert.match(said[0] ?? '', /^window 1 of 10 · perplexity [\d.]+ \(95 % interval [\d.]+ to [\d.]+\)$/);
    assert.ok(presentation?.settings.some(({ name, value }) => name === 'T' && value === '256 tokens'));
  });

  it('takes the texts of an open file of records, once they are saved', async () => {
    const file = inWorkspace('records.jsonl');
    const texts = ['Summer is warm, and the days are long.', 'Winter is cold, and the days are short.'];
    await vscode.workspace.fs.writeFile(file, Buffer.from(texts.map((text) => JSON.stringify({ text })).join('\n')));
    const editor = await vscode.window.showTextDocument(file);
    const { presentation: ofFile } = await run('perplexity', { window: 16 });
    const { presentation } = await run('perplexity', { window: 16, text: { name: 'a', text: texts.join('\n\n') } });
    assert.deepEqual(ofFile?.parts, presentation?.parts);
    await editor.edit((edit) => edit.insert(new vscode.Position(0, 0), '{"text": "Spring."}\n'));
    const { problem } = await run('perplexity', { window: 16 });
    assert.match(problem?.message ?? '', /^records\.jsonl is not saved/);
    await vscode.commands.executeCommand('workbench.action.files.revert');
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
      type: 'lens',
      layer: 8,
      point: 'resid_post',
      top: 1,
    });
    assert.equal(rows.length, width);
  });

  const whole: readonly [command: string, given: Record<string, unknown>, sentence: RegExp][] = [
    [
      'survey',
      { texts: boats, sequences: 3, length: 32 },
      /^Massive in at least half of the sequences: dim 239 at the first token/,
    ],
    ['bias', {}, /of the attention goes to ⟨bos⟩, .* acts as a bias scaled by each head/],
    [
      'compare',
      { texts: boats, tokens: 600, models: [bundled('llama'), bundled('llama-bias')] },
      /an explicit bias does its work/,
    ],
    // Calibrated on what comes with the extension, as nothing is chosen.
    ['weights', { tokens: 600 }, /is mostly in these few rows/],
    ['outliers', { tokens: 128 }, /They cost most at (h|mid)_\d/],
    ['lens', {}, /of the 512 tokens have their final prediction from layer \d of 8 on/],
    ['streaming', { tokens: 600, length: 256, rolling: 0 }, /The first tokens are sinks that the model needs/],
    ['compareQuantised', { tokens: 300, quantised: bundled('llama') }, /^Perplexity changes by 0\.00 %/],
  ];
  for (const [command, given, sentence] of whole) {
    it(`runs ${command} on a book`, async () => {
      const { status, presentation, problem } = await run(command, { text: boats, ...given });
      assert.equal(status, 'finished', problem?.message);
      assert.match(presentation?.sentence ?? '', sentence);
      assert.ok(presentation?.settings.some(({ value }) => value === 'three-men-in-a-boat.md'));
      assert.ok((presentation?.parts.length ?? 0) > 1);
    });
  }

  const fixture = (name: string, file: string) => repositoryFile('test', 'zoo', 'fixtures', name, file);
  const others: readonly [command: string, model: string, given: Record<string, unknown>, sentence: RegExp][] = [
    [
      'vision',
      'dinov2_with_registers-dynamo-op18',
      { images: ['0', '1', '2'].map((one) => repositoryFile('test', 'references', 'pixels', `${one}.safetensors`)) },
      /^Nothing is massive here .* to the mean over other images/,
    ],
    [
      'ratios',
      'gnn-ts-op17',
      { untrained: fixture('gnn-ts-op17', 'model.onnx'), feeds: [fixture('gnn-ts-op17', 'golden.safetensors')] },
      /training has made no activations massive here/,
    ],
  ];
  for (const [command, model, given, sentence] of others) {
    it(`runs ${command} on files`, async () => {
      const settings = await configure({ model: fixture(model, 'model.onnx') });
      try {
        const { status, presentation, problem } = await run(command, given);
        assert.equal(status, 'finished', problem?.message);
        assert.match(presentation?.sentence ?? '', sentence);
      } finally {
        await settings.restore();
      }
    });
  }

  it('surveys a folder, and compares the texts in it', async () => {
    const folder = inWorkspace('corpus');
    const text = readFileSync(boats.fsPath, 'utf8');
    const half = Math.round(text.length / 2);
    for (const [name, part] of Object.entries({ 'one.txt': text.slice(0, half), 'two.md': text.slice(half) }))
      await vscode.workspace.fs.writeFile(vscode.Uri.joinPath(folder, name), Buffer.from(part));
    try {
      const survey = await run('survey', { texts: folder, sequences: 2, length: 32 });
      assert.ok(survey.presentation?.settings.some(({ name, value }) => name === 'corpus' && value === 'corpus'));
      const models = [bundled('llama')];
      const { presentation, problem } = await run('compare', { texts: folder, tokens: 300, models });
      assert.match(
        presentation?.sentence ?? problem?.message ?? '',
        /^Massive activations in llama on one\.txt \(.*, llama on two\.md \(/,
      );
    } finally {
      await vscode.workspace.fs.delete(folder, { recursive: true });
    }
  });

  it('shows the parts of a survey that was run elsewhere as one', async () => {
    const folder = inWorkspace('parts').fsPath;
    mkdirSync(folder);
    const parts = [0, 1].map((index) => join(folder, `${index}.json`));
    for (const [index, part] of parts.entries()) {
      const options = ['--sequences', '4', '--length', '32', '--shard', `${index}/2`, '--save', part];
      await sinkscopeCli('survey', bundled('llama'), '--file', boats.fsPath, ...options);
    }
    try {
      const { title, presentation, problem } = await run('merge', { parts });
      assert.match(presentation?.sentence ?? problem?.message ?? '', /dim 239 at the first token \(4 of 4\)/);
      assert.equal(title, 'Merge surveys');
      const again = await run('merge', { parts: parts.slice(1) });
      assert.match(again.problem?.message ?? '', /^Of 2 shards 0 is missing/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  /** What an action writes to the file that its dialog is given. */
  async function saved(action: { readonly do: 'save-json' | 'save-file'; readonly run: number }): Promise<unknown> {
    const file = inWorkspace('saved.json');
    const { showSaveDialog } = vscode.window;
    Object.assign(vscode.window, { showSaveDialog: async () => file });
    try {
      await vscode.commands.executeCommand('sinkscope.experimentAction', action);
      return JSON.parse(readFileSync(file.fsPath, 'utf8'));
    } finally {
      Object.assign(vscode.window, { showSaveDialog });
      rmSync(file.fsPath, { force: true });
    }
  }

  it('is saved as the JSON that the command line prints', async () => {
    const { number } = await run('perplexity', { text: boats, tokens: 300, window: 64 });
    const options = ['--file', boats.fsPath, '--tokens', '300', '--window', '64', '--json'];
    const printed = JSON.parse(await sinkscopeCli('perplexity', bundled('llama'), ...options));
    assert.deepEqual(await saved({ do: 'save-json', run: number }), printed);
  });

  it('is saved as the file that the command line saves, where it has one', async () => {
    const { number, hasFile } = await run('survey', { texts: boats, sequences: 4, length: 32, shard: '1/2' });
    assert.equal(hasFile, true);
    const part = inWorkspace('part.json').fsPath;
    const options = ['--sequences', '4', '--length', '32', '--shard', '1/2', '--save', part];
    await sinkscopeCli('survey', bundled('llama'), '--file', boats.fsPath, ...options);
    const { file: _, ...written } = JSON.parse(readFileSync(part, 'utf8'));
    const { file: __, ...kept } = (await saved({ do: 'save-file', run: number })) as { file: string };
    assert.deepEqual(kept, written);
    rmSync(part);
  });

  it('is there again after a reload; one that had not ended keeps what it had, and says that it was stopped', async () => {
    const store = new Store(inWorkspace('.experiments'));
    const done = await run('lens', { text: { name: 'summer', text: 'Summer is warm.' } });
    const failed = await run('perplexity', { text: { name: 'summer', text: 'Summer.' } });
    assert.ok('json' in done);
    const running = { ...done, number: 99, status: 'running' } as const;
    await store.saveExperiments([running, failed, done]);
    for (const { number } of sinkscope.experiments.runs) sinkscope.experiments.close(number);
    sinkscope.experiments.restore(await store.loadExperiments());
    assert.deepEqual(
      sinkscope.experiments.runs.map(({ number, ...rest }) => rest),
      [
        {
          ...done,
          status: 'failed',
          problem: { code: 'cancelled', message: 'The experiment was stopped, because its window was closed.' },
        },
        failed,
        done,
      ].map(({ number, ...rest }) => rest),
    );
    await store.saveExperiments([]);
    assert.deepEqual(await store.loadExperiments(), []);
  });

  it('asks in the palette for what has no default, in the words of the definition', async () => {
    await open('Summer is warm. Winter is cold. Autumn is in between, and so is spring.');
    const { showQuickPick, showInputBox } = vscode.window;
    const asked: (string | undefined)[] = [];
    Object.assign(vscode.window, {
      showQuickPick: async (items: readonly vscode.QuickPickItem[], { title }: vscode.QuickPickOptions) => {
        asked.push(title, ...items.map(({ label }) => label));
        return items.find(({ label }) => label === 'Scale…');
      },
      showInputBox: async ({ title, validateInput }: vscode.InputBoxOptions) => {
        asked.push(title, `${await validateInput?.('half')}`, `${await validateInput?.('0.5')}`);
        return '0.5';
      },
    });
    try {
      const { presentation, problem } = await run('intervene');
      const set = presentation?.settings.find(({ name }) => name === 'set');
      assert.match(set?.value ?? problem?.message ?? '', /→ × 0\.5$/);
    } finally {
      Object.assign(vscode.window, { showQuickPick, showInputBox });
    }
    assert.deepEqual(asked, [
      'What to do with the massive activations',
      'Set to zero',
      'Set to their mean over a calibration text',
      'Set to a value…',
      'Scale…',
      'Add noise of a standard deviation…',
      'Value, factor or deviation',
      'It is a number.',
      'undefined',
    ]);
  });

  it('asks in the palette for a text where none is open, also where something else could take its place', async () => {
    const { showQuickPick } = vscode.window;
    const asked: (string | undefined)[] = [];
    Object.assign(vscode.window, {
      showQuickPick: async (_: unknown, { title }: vscode.QuickPickOptions) => void asked.push(title),
    });
    try {
      await vscode.commands.executeCommand('sinkscope.gradients');
    } finally {
      Object.assign(vscode.window, { showQuickPick });
    }
    assert.deepEqual(asked, ['Text']);
    assert.deepEqual(sinkscope.experiments.runs, []);
  });

  it('runs as it is set at first on a text that comes with the extension, whatever is open', async () => {
    await open('Too short.');
    const { showQuickPick } = vscode.window;
    const choose = async (is: (item: vscode.QuickPickItem) => boolean) => {
      Object.assign(vscode.window, { showQuickPick: async (items: readonly vscode.QuickPickItem[]) => items.find(is) });
      const action = { do: 'choose-text', experiment: 'survey', input: 'texts' };
      await vscode.commands.executeCommand('sinkscope.experimentAction', action);
    };
    try {
      await choose(({ label }) => label === 'The Pit and the Pendulum');
      const { presentation, problem } = await run('survey');
      assert.equal(problem, undefined);
      const names = presentation?.settings.map(({ value }) => value) ?? [];
      assert.ok(names.includes('pit-and-pendulum.md'), names.join(', '));
      await choose(({ description }) => description === 'open document');
    } finally {
      Object.assign(vscode.window, { showQuickPick });
    }
  });

  it('stops at once, and keeps what there is by then', async () => {
    const running = run('perplexity', { text: boats, window: 64 });
    await until(() => sinkscope.experiments.runs[0]?.presentation !== undefined);
    await vscode.commands.executeCommand('sinkscope.stopExperiment');
    const stopped = await running;
    assert.deepEqual([stopped.status, stopped.problem?.code], ['failed', 'cancelled']);
    assert.ok(stopped.presentation && 'json' in stopped);
    assert.equal(sinkscope.experiments.running, false);
  });

  it('says what went wrong where its result would be, until it is tried again', async () => {
    await open('Too short for a window of attention.');
    for (let tries = 0; tries < 2; tries++) {
      const { number, status, problem } = await run('streaming');
      assert.equal(status, 'failed');
      assert.match(problem?.message ?? '', /an attention window of 64 leaves nothing out/);
      assert.deepEqual(
        sinkscope.experiments.runs.map((one) => one.number),
        [number],
      );
    }
  });
});
