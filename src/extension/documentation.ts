/** The pages of `docs/`, which come with the extension, as VS Code shows Markdown. */
import { readFile } from 'node:fs/promises';
import * as vscode from 'vscode';
import { sectionOf } from './sections.js';

/**
 * Opens a page.
 *
 * @param extension the folder of the extension
 * @param experiment that is to be read about; undefined: where the pages begin
 */
export async function openDocumentation(extension: vscode.Uri, experiment?: string): Promise<void> {
  const page = vscode.Uri.joinPath(extension, 'docs', experiment === undefined ? 'README.md' : 'experiments.md');
  const fragment = experiment === undefined ? '' : (sectionOf(await readFile(page.fsPath, 'utf8'), experiment) ?? '');
  await vscode.commands.executeCommand('markdown.showPreviewToSide', page.with({ fragment }));
}
