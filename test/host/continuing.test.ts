import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { Api } from '../../src/extension/extension.js';
import { api, closeEditors, open } from './support.js';

describe('Continue Prompt', () => {
  let sinkscope: Api;
  before(async () => {
    sinkscope = await api();
  });
  afterEach(async () => {
    await vscode.commands.executeCommand('sinkscope.discardContinuation');
    for (const { number } of sinkscope.experiments.runs) sinkscope.experiments.close(number);
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
  });

  /** What the model has written by now. */
  const written = () => {
    const { json } = sinkscope.experiments.runs[0] ?? {};
    return json && 'text' in json ? `${json.text}` : '';
  };

  it('writes behind the cursor, and what was written is taken or thrown away', async () => {
    const text = 'The cat sat on the mat. The dog';
    const editor = await open(text);
    const end = editor.document.positionAt(text.length);
    editor.selection = new vscode.Selection(end, end);
    await vscode.commands.executeCommand('sinkscope.continuePrompt');
    assert.equal(sinkscope.experiments.runs[0]?.status, 'finished');
    assert.equal(editor.document.getText(), text, 'nothing is put into the document that nobody took');
    const added = written();
    assert.ok(added.length > 0, 'nothing was written');
    await vscode.commands.executeCommand('sinkscope.acceptContinuation');
    assert.equal(editor.document.getText().replaceAll('\r\n', '\n'), text + added);
    // It was taken: there is nothing more.
    await vscode.commands.executeCommand('sinkscope.acceptContinuation');
    assert.equal(editor.document.getText().replaceAll('\r\n', '\n'), text + added);
  });

  it('stops at any token, of which what is there can be taken; and is thrown away whole', async () => {
    const text = 'The cat sat on the mat. The dog';
    const editor = await open(text);
    const end = editor.document.positionAt(text.length);
    editor.selection = new vscode.Selection(end, end);
    const stopping = sinkscope.experiments.onDidChange(({ type }) => {
      if (type === 'run' && written() !== '') sinkscope.experiments.stop();
    });
    await vscode.commands.executeCommand('sinkscope.continuePrompt');
    stopping.dispose();
    const { status, json } = sinkscope.experiments.runs[0] ?? {};
    assert.notEqual(status, 'finished');
    assert.ok(json && 'ids' in json && Array.isArray(json.ids) && json.ids.length < 32, JSON.stringify(json));
    const added = written();
    await vscode.commands.executeCommand('sinkscope.acceptContinuation');
    assert.equal(editor.document.getText().replaceAll('\r\n', '\n'), text + added);

    await vscode.commands.executeCommand('sinkscope.continuePrompt');
    const before = editor.document.getText();
    await vscode.commands.executeCommand('sinkscope.discardContinuation');
    await vscode.commands.executeCommand('sinkscope.acceptContinuation');
    assert.equal(editor.document.getText(), before);
  });

  it('goes with the text that it follows from', async () => {
    const editor = await open('The cat sat on');
    const end = editor.document.positionAt(14);
    editor.selection = new vscode.Selection(end, end);
    await vscode.commands.executeCommand('sinkscope.continuePrompt');
    await editor.edit((edit) => edit.replace(new vscode.Range(0, 0, 0, 3), 'A'));
    await vscode.commands.executeCommand('sinkscope.acceptContinuation');
    assert.equal(editor.document.getText(), 'A cat sat on');
  });
});
