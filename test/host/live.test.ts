import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { Api } from '../../src/extension/extension.js';
import { api, chooseBundled, closeEditors, halt, open, until } from './support.js';

describe('a text that is followed', () => {
  let sinkscope: Api;
  let editor: vscode.TextEditor;
  const text = 'Summer is warm. Winter is cold. Autumn is wet, and so is spring.';
  const type = (at: number, put: string, instead = 0) =>
    editor.edit((edit) => {
      const place = (offset: number) => editor.document.positionAt(offset);
      edit.replace(new vscode.Range(place(at), place(at + instead)), put);
    });
  const shown = () => sinkscope.analyses.run?.source?.text;
  const isShown = () => shown() === editor.document.getText();

  before(async () => {
    sinkscope = await api();
    await chooseBundled(sinkscope);
    editor = await open(text);
    await vscode.commands.executeCommand('sinkscope.live');
  });
  after(async () => {
    await vscode.commands.executeCommand('sinkscope.endLive');
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
  });

  it('is analysed when that is begun, and said to be followed', async () => {
    assert.equal(sinkscope.live.on, true);
    assert.equal(sinkscope.analyses.run?.analysis.status, 'finished');
    assert.match(
      (await sinkscope.viewState()).live ?? '',
      /^Live: the whole text is run after every edit.*no inputs for keys/,
    );
  });

  it('has marks where it is now after edits, and what is shown stays until then', async () => {
    const seen: (number | undefined)[] = [];
    const watching = sinkscope.analyses.onDidChange(() => seen.push(sinkscope.analyses.run?.analysis.layers.length));
    await type(text.length, ' Yes');
    await until(isShown);
    await type(7, 'was', 2);
    await until(isShown);
    watching.dispose();
    // Never a run that is half there.
    assert.deepEqual([...new Set(seen)], [9]);
    const { run } = sinkscope.analyses;
    assert.equal(run?.stale, false);
    const words = run?.ranges.map((range) => range && editor.document.getText().slice(range.start, range.end));
    assert.deepEqual(words?.join(''), editor.document.getText());
    assert.equal((await sinkscope.viewState()).stale, undefined);
  });

  it('has the history and the view told of nothing that is no other for it', async () => {
    const told = { history: 0, live: 0 };
    const watching = vscode.Disposable.from(
      sinkscope.runs.onDidChange(() => told.history++),
      sinkscope.live.onDidChange(() => told.live++),
    );
    await type(editor.document.getText().length, ' No');
    await until(isShown);
    await until(() => told.live > 0);
    watching.dispose();
    assert.equal(told.history, 0);
  });

  it('keeps the token that is selected, wherever it is', async () => {
    const { analyses } = sinkscope;
    const token = analyses.tokenAt(editor.document.uri, editor.document.getText().indexOf('cold'));
    assert.ok(token);
    const id = analyses.run?.analysis.tokens?.tokens[token]?.id;
    analyses.select({ token, layer: 3 }, 'view');
    await type(0, 'Truly. ');
    await until(isShown);
    const { selection } = analyses;
    assert.equal(selection.layer, 3);
    assert.notEqual(selection.token, token);
    assert.equal(analyses.run?.analysis.tokens?.tokens[selection.token ?? -1]?.id, id);
  });

  it('is run as it is last, where more is typed than can be run', async () => {
    const pid = halt(sinkscope);
    const runs: (string | undefined)[] = [];
    const watching = sinkscope.analyses.onDidChange(({ type }) => type === 'run' && runs.push(shown()));
    for (const word of [' one', ' two', ' three']) {
      await type(editor.document.getText().length, word);
      await until(() => sinkscope.analyses.text === editor.document.getText());
    }
    process.kill(pid, 'SIGCONT');
    await until(isShown);
    watching.dispose();
    assert.deepEqual(runs, [editor.document.getText()]);
    assert.equal(sinkscope.analyses.engine.pid, pid);
  });

  it('may become nothing, and something again', async () => {
    await type(0, '', editor.document.getText().length);
    await until(() => sinkscope.analyses.run === undefined);
    assert.match(sinkscope.analyses.trouble?.message ?? '', /no text to analyze/);
    await type(0, text);
    await until(isShown);
    assert.equal(sinkscope.analyses.run?.analysis.status, 'finished');
  });

  it('is told to be too long where it is, with what was shown before, and goes on when it is not', async () => {
    const long = ` ${'word '.repeat(600)}`;
    await type(text.length, long);
    await until(() => sinkscope.analyses.trouble !== undefined);
    assert.match(sinkscope.analyses.trouble?.message ?? '', /tokens, but the model was made for fewer/);
    assert.equal(shown(), text);
    await type(text.length, '', long.length);
    await until(() => sinkscope.analyses.trouble === undefined);
    assert.equal(shown(), text);
  });

  it('is no longer followed once that is ended', async () => {
    await vscode.commands.executeCommand('sinkscope.live');
    assert.equal(sinkscope.live.on, false);
    await type(0, 'More. ');
    assert.equal(sinkscope.analyses.run?.stale, true);
    assert.equal((await sinkscope.viewState()).live, undefined);
  });
});
