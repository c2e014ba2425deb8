/** The pages of `docs/`, which come with the extension, as VS Code shows Markdown. */
import { readFile } from 'node:fs/promises';
import * as vscode from 'vscode';
import { sectionOf } from './sections.js';

/**
 * Opens a page among the texts, so that the panel stays in sight and no page takes a column of its own. It is locked to
 * its file: a preview that follows the active editor would go away with the first click into a Markdown text.
 *
 * @param extension the folder of the extension
 * @param experiment that is to be read about; undefined: where the pages begin
 */
export async function openDocumentation(extension: vscode.Uri, experiment?: string): Promise<void> {
  const page = vscode.Uri.joinPath(extension, 'docs', experiment === undefined ? 'README.md' : 'experiments.md');
  const fragment = experiment === undefined ? '' : (sectionOf(await readFile(page.fsPath, 'utf8'), experiment) ?? '');
  await vscode.commands.executeCommand('markdown.showPreview', page.with({ fragment }), undefined, { locked: true });
}
