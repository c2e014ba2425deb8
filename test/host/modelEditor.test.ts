import assert from 'node:assert/strict';
import { copyFile, mkdir } from 'node:fs/promises';
import * as vscode from 'vscode';
import type { ModelState } from '../../src/protocol.js';
import { api, closeEditors, inWorkspace, repositoryFile, until } from './support.js';

describe('a model that is opened', () => {
  it('is described in an editor of its own, and a text is tried there', async () => {
    const sinkscope = await api();
    const file = vscode.Uri.file(repositoryFile('media', 'models', 'llama', 'model.onnx'));
    // As a click in the Explorer opens it: by no editor's name.
    await vscode.commands.executeCommand('vscode.open', file);
    const about = (): ModelState['shown']['about'] | undefined => sinkscope.editors.open.get(file.fsPath)?.shown.about;
    await until(() => about()?.status === 'read' || about()?.status === 'failed');
    const tab = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
    assert.ok(tab instanceof vscode.TabInputCustom);
    assert.equal(tab.viewType, 'sinkscope.model');
    const told = about();
    assert.ok(told?.status === 'read', JSON.stringify(told));
    const { anatomy } = told.description;
    assert.ok(anatomy.found);
    assert.equal(anatomy.inspection.anatomy.layers, 8);
    assert.ok(told.description.weights.some(({ name, block }) => name === 'blocks.0.mlp.down.weight' && block === 1));

    await vscode.commands.executeCommand('sinkscope.tryModel', file.fsPath, 'Summer is warm.');
    const { run } = sinkscope.analyses;
    assert.equal(run?.analysis.status, 'finished', run?.analysis.problem?.message);
    assert.equal(run?.request.model, file.fsPath);
    await vscode.commands.executeCommand('sinkscope.clear');
    await closeEditors();
    assert.equal(sinkscope.editors.open.size, 0);
  });

  it('is read again by itself when the data that it lacked is put beside it', async () => {
    const sinkscope = await api();
    const demo = (name: string) => repositoryFile('media', 'models', 'llama', name);
    const folder = inWorkspace('lacking #1 100% ä').fsPath;
    await mkdir(folder, { recursive: true });
    const file = vscode.Uri.joinPath(vscode.Uri.file(folder), 'cached.onnx');
    await copyFile(demo('model_cached.onnx'), file.fsPath);
    await vscode.commands.executeCommand('vscode.open', file);
    const about = (): ModelState['shown']['about'] | undefined => sinkscope.editors.open.get(file.fsPath)?.shown.about;
    await until(() => about()?.status === 'failed');
    await copyFile(demo('model.onnx'), vscode.Uri.joinPath(vscode.Uri.file(folder), 'model.onnx').fsPath);
    await until(() => about()?.status === 'read');
    await closeEditors();
  });
});
