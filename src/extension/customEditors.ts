/** Editors of files that are only looked at: a page in each, and what is read there by path. */
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { lookEvery } from './settling.js';

/** Tests read what an editor shows here. */
export interface CustomEditors<State> extends vscode.Disposable {
  /** By path, of the editors that are open. */
  readonly open: ReadonlyMap<string, State>;
  readonly onDidChange: vscode.Event<void>;
}

/**
 * Registers the editors of a view type.
 *
 * @param connect loads the page of a file into its webview until the result is disposed, and tells what it shows
 */
export function registerCustomEditors<State>(
  viewType: string,
  connect: (uri: vscode.Uri, webview: vscode.Webview, told: (state: State) => void) => vscode.Disposable,
): CustomEditors<State> {
  const open = new Map<string, State>();
  const changes = new vscode.EventEmitter<void>();
  const provider: vscode.CustomReadonlyEditorProvider = {
    openCustomDocument: (uri) => ({ uri, dispose: () => {} }),
    resolveCustomEditor({ uri }, panel) {
      const connection = connect(uri, panel.webview, (state) => {
        open.set(uri.fsPath, state);
        changes.fire();
      });
      panel.onDidDispose(() => {
        connection.dispose();
        open.delete(uri.fsPath);
        changes.fire();
      });
    },
  };
  const registration = vscode.window.registerCustomEditorProvider(viewType, provider, {
    supportsMultipleEditorsPerDocument: true,
  });
  return {
    open,
    onDidChange: changes.event,
    dispose() {
      registration.dispose();
      changes.dispose();
    },
  };
}

/** Calls back when a file was written, has come or gone, and nothing more has happened to it for a moment. */
export function onFileChange(file: string, changed: () => void): vscode.Disposable {
  // A name is meant as it is: in a pattern some of its signs would stand for others.
  return onChange(dirname(file), basename(file).replace(/[*?{}[\]]/g, '[$&]'), changed);
}

/** As {@link onFileChange}, of any file of a folder. */
export function onFolderChange(folder: string, changed: () => void): vscode.Disposable {
  return onChange(folder, '*', changed);
}

function onChange(folder: string, pattern: string, changed: () => void): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, lookEvery);
  };
  const files = new vscode.RelativePattern(vscode.Uri.file(folder), pattern);
  const watcher = vscode.workspace.createFileSystemWatcher(files);
  return vscode.Disposable.from(
    watcher,
    watcher.onDidChange(later),
    watcher.onDidCreate(later),
    watcher.onDidDelete(later),
    new vscode.Disposable(() => clearTimeout(timer)),
  );
}
