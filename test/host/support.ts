/** What the in-host tests share: the extension's own API, documents to analyze, and events to wait for. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { AnalysesChange, ShownRun } from '../../src/extension/analyses.js';
import type { Api } from '../../src/extension/extension.js';

export function extension(): vscode.Extension<Api> {
  const found = vscode.extensions.getExtension<Api>('sinkscope.sinkscope');
  assert.ok(found);
  return found;
}

export async function api(): Promise<Api> {
  const active = await extension().activate();
  await active.restored;
  return active;
}

/** A file of this repository. */
export function repositoryFile(...path: string[]): string {
  return join(extension().extensionPath, ...path);
}

/**
 * Opens `text` in an editor that has the focus, as a file of a name of its own: an untitled document takes that of one
 * whose end is told later.
 */
export function open(text: string): Promise<vscode.TextEditor> {
  return openFile(`${randomUUID()}.txt`, text);
}

/** The editor, once it is the active one. */
async function active(editor: vscode.TextEditor): Promise<vscode.TextEditor> {
  await until(() => vscode.window.activeTextEditor?.document === editor.document);
  return editor;
}

/** Something in the folder that is open. */
export function inWorkspace(...path: string[]): vscode.Uri {
  const folder = vscode.workspace.workspaceFolders?.[0];
  assert.ok(folder);
  return vscode.Uri.joinPath(folder.uri, ...path);
}

/** Opens a file of the workspace with exactly these bytes. */
export async function openFile(name: string, text: string): Promise<vscode.TextEditor> {
  const file = inWorkspace(name);
  await vscode.workspace.fs.writeFile(file, Buffer.from(text));
  return active(await vscode.window.showTextDocument(file, { viewColumn: vscode.ViewColumn.One }));
}

/** Runs the command on the active editor and gives the finished run. */
export async function analyze({ analyses }: Api): Promise<ShownRun> {
  await until(() => vscode.window.activeTextEditor !== undefined);
  await vscode.commands.executeCommand('sinkscope.analyze');
  const { run } = analyses;
  const { document } = vscode.window.activeTextEditor ?? {};
  assert.ok(run, `no run was made of ${document?.uri} with “${document?.getText()}”`);
  assert.equal(run.analysis.status, 'finished', run.analysis.problem?.message);
  return run;
}

/**
 * Halts the process that runs models: what is begun from now on lasts until it is ended, on a machine of any speed.
 * It is there once something was analyzed.
 */
export function halt({ analyses }: Api): number {
  const { pid } = analyses.engine;
  assert.ok(pid, 'no process runs models');
  process.kill(pid, 'SIGSTOP');
  return pid;
}

/** The next change for which `test` holds. */
export function change({ analyses }: Api, test: (change: AnalysesChange) => boolean): Promise<AnalysesChange> {
  return new Promise((resolve) => {
    const subscription = analyses.onDidChange((next) => {
      if (!test(next)) return;
      subscription.dispose();
      resolve(next);
    });
  });
}

/** The next event of this type, in whatever run. */
export function event(given: Api, type: string): Promise<AnalysesChange> {
  return change(given, (next) => next.type === 'event' && next.event.type === type);
}

/** Does `action` again and again until `test` holds: for what VS Code shows without telling. */
export async function until(test: () => boolean, action: () => Thenable<unknown> = async () => {}): Promise<void> {
  while (!test()) {
    await action();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Changes settings for one test; `restore` puts back what was there. */
export async function configure(values: Record<string, unknown>): Promise<{ restore(): Promise<void> }> {
  const set = async (key: string, value: unknown) =>
    vscode.workspace.getConfiguration('sinkscope').update(key, value, vscode.ConfigurationTarget.Global);
  for (const [key, value] of Object.entries(values)) await set(key, value);
  return {
    restore: async () => {
      for (const key of Object.keys(values)) await set(key, undefined);
    },
  };
}

export async function closeEditors(): Promise<void> {
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  // What the window has done is told here later: an editor that is gone is none that the next test finds active.
  await until(() => vscode.window.tabGroups.all.every(({ tabs }) => tabs.length === 0));
  await until(() => vscode.window.activeTextEditor === undefined);
}

/** Makes the first demo model the chosen one. */
export async function chooseBundled({ models }: Api): Promise<void> {
  const llama = (await models.list()).find(({ name }) => name === 'llama');
  await vscode.commands.executeCommand('sinkscope.chooseModel', llama?.file);
}
