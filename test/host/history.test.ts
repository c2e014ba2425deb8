import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { emptyAnalysis, fold } from '../../src/analysis/analysis.js';
import { presentMoved } from '../../src/analysis/moved.js';
import { defaultThresholds } from '../../src/analysis/thresholds.js';
import type { Api } from '../../src/extension/extension.js';
import { readResult } from '../../src/extension/resultEditor.js';
import { analyze, api, closeEditors, inWorkspace, open, openFile, repositoryFile, until } from './support.js';

const run = (command: string, ...args: unknown[]) => vscode.commands.executeCommand(`sinkscope.${command}`, ...args);

describe('runs that stay', () => {
  let sinkscope: Api;
  const titles = async () => (await sinkscope.runs.list()).map(({ name, document }) => name ?? document);
  /** What the panel finds in what it is sent. */
  const moved = () => {
    const { run } = sinkscope.analyses;
    const before = sinkscope.against()?.events.reduce(fold, emptyAnalysis);
    return run && before && presentMoved(before, run.analysis, defaultThresholds);
  };

  before(async () => {
    sinkscope = await api();
  });
  beforeEach(async () => {
    await run('clearHistory', true);
    assert.deepEqual(await sinkscope.runs.list(), []);
  });
  afterEach(async () => {
    await run('unpinRun');
    await run('clear');
    await closeEditors();
  });

  it('are listed, shown again on their text wherever that is now, and answered about while the model has them', async () => {
    const { document } = await openFile('kept.txt', 'Summer is warm. Winter is cold.');
    const first = await analyze(sinkscope);
    await openFile('other.txt', 'Rivers run to the sea.');
    await analyze(sinkscope);
    assert.deepEqual(await titles(), ['other.txt', 'kept.txt']);
    const [other, kept] = await sinkscope.runs.list();
    assert.ok(other && kept);
    assert.match(kept.model.identity ?? '', /^[0-9a-f]{64}$/);
    const again = await vscode.window.showTextDocument(document.uri, { viewColumn: vscode.ViewColumn.One });
    await again.edit((edit) => edit.insert(new vscode.Position(0, 0), 'A new first line.\n'));
    await run('openRun', kept.id);
    const { analyses } = sinkscope;
    assert.deepEqual(analyses.run?.events, first.events);
    assert.equal(analyses.run?.ranges.find((range) => range !== undefined)?.start, 18);
    // Views over one large buffer would be sent to the panel with all of it.
    for (const one of analyses.run?.events ?? [])
      if (one.type === 'layer') assert.equal(one.statistics.dimMax.buffer.byteLength, one.statistics.dimMax.byteLength);
    // The model has the other run, whose pattern is not this one's.
    await assert.rejects(analyses.query({ type: 'pattern', layer: 1, head: 0 }), { code: 'input' });
    await run('openRun', other.id);
    const { queries } = await analyses.query({ type: 'pattern', layer: 1, head: 0 });
    assert.equal(queries, analyses.run?.analysis.tokens?.tokens.length);
    // As the next window does it.
    await run('clear');
    await sinkscope.runs.restore();
    assert.equal(analyses.run, undefined, 'what was cleared is not shown again');
    await run('openRun', kept.id);
    await run('deleteRun', kept.id);
    assert.deepEqual(await titles(), ['other.txt']);
  });

  it('are deleted all at once after a question, which is not asked where there are none', async () => {
    const { showWarningMessage } = vscode.window;
    const asked: string[] = [];
    Object.assign(vscode.window, { showWarningMessage: async (question: string) => void asked.push(question) });
    try {
      await run('clearHistory');
      assert.deepEqual(asked, []);
      await openFile('kept.txt', 'Summer is warm. Winter is cold.');
      await analyze(sinkscope);
      await run('clearHistory');
      assert.equal(asked.length, 1);
      assert.match(asked.join(), /\(1\)/);
      assert.deepEqual(await titles(), ['kept.txt'], 'nobody said yes');
    } finally {
      Object.assign(vscode.window, { showWarningMessage });
    }
  });

  it('hold what is run against the one that is pinned: another prompt, another prefix, an edit', async () => {
    const editor = await openFile('pinned.txt', 'Summer is warm. Winter is cold.');
    await analyze(sinkscope);
    await run('pinRun');
    assert.equal((await sinkscope.viewState()).pinned, 'shown');
    assert.equal(moved(), undefined);
    await editor.edit((edit) => edit.replace(new vscode.Range(0, 10, 0, 14), 'long'));
    await run('analyzeAgain');
    assert.equal((await sinkscope.viewState()).pinned, 'other');
    assert.match(moved()?.settings.at(-1)?.value ?? '', /^\d+ of \d+/);
    assert.equal(moved()?.parts[0]?.kind, 'heatmap');
    await editor.edit((edit) => edit.replace(new vscode.Range(0, 10, 0, 14), 'warm'));
    try {
      await run('chooseBos', 'off');
      assert.match(moved()?.sentence ?? '', /went: dim \d+ on ⟨bos⟩/);
    } finally {
      await run('chooseBos', 'auto');
    }
    const [pinned] = await sinkscope.runs.list();
    await run('renameRun', pinned, 'as it was');
    assert.equal(sinkscope.against()?.name, 'as it was');
    assert.match(moved()?.sentence ?? '', /^Nothing moved/);
    assert.deepEqual((await titles())[0], 'as it was');
    await run('unpinRun');
    assert.equal(sinkscope.against(), undefined);
  });

  it('compare several selections, the first of which is pinned', async () => {
    const editor = await open('Summer is\nwarm.\nWinter is cold.\nRivers run to the sea.');
    const lines = (from: number, to: number) =>
      new vscode.Selection(from, 0, to, editor.document.lineAt(to).text.length);
    editor.selections = [lines(2, 2), lines(0, 1)];
    await until(() => editor.selections.length === 2);
    await run('compareSelections');
    assert.equal(sinkscope.runs.pinned?.note.excerpt, 'Summer is warm.');
    assert.equal(sinkscope.analyses.run?.source?.text, 'Winter is cold.');
    assert.match(moved()?.settings.at(-1)?.value ?? '', /^\d+ of \d+/);
  });

  it('are saved as a file that opens without model and text, and can be held against others', async () => {
    await openFile('saved.txt', 'Summer is warm. Winter is cold.');
    const { analysis } = await analyze(sinkscope);
    const file = inWorkspace('saved.sinkscope.json');
    await run('exportJson', file);
    const child = repositoryFile('dist', 'engine.js');
    const { events } = await readResult(child, file);
    const again = events.reduce(fold, emptyAnalysis);
    assert.deepEqual(
      [again.layers, again.attention, again.predictions],
      [analysis.layers, analysis.attention, analysis.predictions],
    );
    assert.equal(again.started?.model.file, 'model.onnx', 'nothing of it names a file of this machine');
    await vscode.commands.executeCommand('vscode.openWith', file, 'sinkscope.result');
    await until(() => sinkscope.results.open.has(file.fsPath));
    assert.ok('events' in (sinkscope.results.open.get(file.fsPath) ?? {}));
    // As a script writes it again: what tensors answer from then on is of the new one.
    const shown = () => {
      const now = sinkscope.results.open.get(file.fsPath);
      return now && ('code' in now ? now.message : now.events.find((event) => event.type === 'started')?.model.name);
    };
    const text = Buffer.from(await vscode.workspace.fs.readFile(file)).toString();
    await vscode.workspace.fs.writeFile(file, Buffer.from(text.replace('"name": "llama"', '"name": "another"')));
    await until(() => shown() === 'another');
    await vscode.workspace.fs.writeFile(file, Buffer.from('{'));
    await until(() => shown()?.includes('not JSON') === true);
    await vscode.workspace.fs.writeFile(file, Buffer.from(text));
    await until(() => shown() === 'llama');
    await run('showResult', file);
    assert.equal((await sinkscope.viewState()).document, 'saved.sinkscope.json');
    assert.deepEqual(await titles(), ['saved.sinkscope.json', 'saved.txt']);
    await run('pinRun');
    await openFile('next.txt', 'Summer is warm. Winter is cold.');
    await analyze(sinkscope);
    assert.match(moved()?.sentence ?? '', /^Nothing moved/);

    const broken = inWorkspace('broken.sinkscope.json');
    await vscode.workspace.fs.writeFile(broken, Buffer.from('{"sinkscope": 1}'));
    await assert.rejects(readResult(child, broken), { code: 'input', file: broken.fsPath });
  });
});
