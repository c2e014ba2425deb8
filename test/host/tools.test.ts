/** The tools of VS Code's chat, called as a language model calls them. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { api, extension, repositoryFile } from './support.js';

describe('tools of the chat', () => {
  before(api);

  const invoke = async (name: string, input: object): Promise<string> => {
    const token = new vscode.CancellationTokenSource().token;
    const { content } = await vscode.lm.invokeTool(name, { input, toolInvocationToken: undefined }, token);
    const [part] = content;
    assert.ok(part instanceof vscode.LanguageModelTextPart);
    return part.value;
  };

  it('are those of the manifest', () => {
    const declared: { name: string }[] = extension().packageJSON.contributes.languageModelTools;
    const there = vscode.lm.tools.map(({ name }) => name).filter((name) => name.startsWith('sinkscope_'));
    assert.deepEqual(there.sort(), declared.map(({ name }) => name).sort());
    assert.ok(there.length > 20);
  });

  it('run a model on a text, and look into the run', async () => {
    const text = await invoke('sinkscope_analyze', {
      model: 'llama',
      text: { text: 'Summer is warm. Winter is cold.' },
    });
    assert.match(text, /massive \| 239/);
    const id = /result (r\d+)/.exec(text)?.[1];
    assert.match(await invoke('sinkscope_explain', { result: id, token: 0 }), /⟨bos⟩ by layer/);
  });

  it('open no file outside of the folders that are open', async () => {
    const input = { model: 'llama', text: { file: repositoryFile('package.json') } };
    await assert.rejects(invoke('sinkscope_analyze', input), /is not opened/);
  });
});
