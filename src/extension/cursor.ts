import * as vscode from 'vscode';
import { reselected } from '../analysis/selection.js';
import type { Analyses } from './analyses.js';

/** Moving the cursor onto a token selects it everywhere; what extensions do to the cursor selects nothing. */
export function registerCursor(analyses: Analyses): vscode.Disposable {
  return vscode.window.onDidChangeTextEditorSelection(({ textEditor, selections, kind }) => {
    if (kind !== vscode.TextEditorSelectionChangeKind.Mouse && kind !== vscode.TextEditorSelectionChangeKind.Keyboard) {
      return;
    }
    const { document } = textEditor;
    const [primary] = selections;
    const token = primary && analyses.tokenAt(document.uri, document.offsetAt(primary.active));
    if (token === undefined || token === analyses.selection.token) return;
    analyses.select(reselected(analyses.selection, { token }), 'editor');
  });
}
