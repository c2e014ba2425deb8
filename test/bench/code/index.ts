/**
 * What the extension host calls: how long it takes, in a real VS Code, from a key to the marks of the text as it is then.
 * What is typed into, and with which model, stands in `asked.json` beside what was built; the milliseconds of each key
 * go to `keys.json`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Api } from '../../../src/extension/extension.js';

interface Asked {
  readonly model: string;
  readonly text: string;
  /** Typed one after another behind the text. */
  readonly keys: readonly string[];
  /** From the marks to the next key, in milliseconds, by turns. */
  readonly pauses: readonly number[];
}

export async function run(): Promise<void> {
  const asked: Asked = JSON.parse(readFileSync(join(__dirname, 'asked.json'), 'utf8'));
  const sinkscope = await vscode.extensions.getExtension<Api>('sinkscope.sinkscope')?.activate();
  if (!sinkscope) throw new Error('the extension is not there');
  await sinkscope.restored;
  const settings = vscode.workspace.getConfiguration('sinkscope');
  await settings.update('memoryBudget', 8192, vscode.ConfigurationTarget.Global);
  // A model has to be among those that are found before it can be chosen.
  await settings.update('models', [asked.model], vscode.ConfigurationTarget.Global);
  await vscode.commands.executeCommand('sinkscope.chooseModel', asked.model);
  // As prose is read. A line that grows has the editor fade its scroll bar in and out, which without a graphics card
  // draws the whole window sixty times a second on the processors that the model is to have.
  await vscode.workspace.getConfiguration('editor').update('wordWrap', 'on', vscode.ConfigurationTarget.Global);
  const document = await vscode.workspace.openTextDocument({ content: asked.text });
  const editor = await vscode.window.showTextDocument(document, vscode.ViewColumn.One);
  await vscode.commands.executeCommand('sinkscope.live');
  const { analyses, live } = sinkscope;
  const written: { readonly pause: number; readonly milliseconds: number }[] = [];
  // By turns, for what else the machine does to be a part of each.
  for (const [i, key] of asked.keys.entries()) {
    const pause = asked.pauses[i % asked.pauses.length] ?? 0;
    await new Promise((resolve) => setTimeout(resolve, pause));
    const start = performance.now();
    await editor.edit((edit) => edit.insert(document.positionAt(document.getText().length), key));
    await new Promise<void>((resolve) => {
      const look = () => {
        if (analyses.run?.source?.text !== document.getText()) return;
        subscription.dispose();
        resolve();
      };
      const subscription = analyses.onDidChange(look);
      look();
    });
    written.push({ pause, milliseconds: performance.now() - start });
  }
  const tokens = analyses.run?.analysis.tokens?.tokens.length ?? 0;
  writeFileSync(join(__dirname, 'keys.json'), JSON.stringify({ written, tokens, said: live.sentence }));
}
