/**
 * Which text is analyzed, and where in its document it stands. Its names are kept with runs and stand in reports and
 * JSON, and so are English in every language of the editor.
 */
import * as vscode from 'vscode';
import { partRun } from '../analysis/conditions.js';
import type { RunRequest, TokensEvent } from '../engine/contract/events.js';
import type { TextRange } from './ranges.js';

/** How the text was chosen. */
export type Scope = 'selection' | 'document' | 'cursor';

export interface Source {
  readonly uri: vscode.Uri;
  readonly scope: Scope;
  readonly text: string;
  /** Where `text` stood when it was taken. */
  readonly range: TextRange;
}

/** The primary selection of `editor`, or the whole document where nothing is selected. */
export function chosenSource({ document, selection }: vscode.TextEditor): Source {
  if (selection.isEmpty) return documentSource(document);
  return rangeSource(document, 'selection', {
    start: document.offsetAt(selection.start),
    end: document.offsetAt(selection.end),
  });
}

/** Every selection of `editor` that is not empty, in the order of the text. */
export function selectedSources({ document, selections }: vscode.TextEditor): Source[] {
  const ranges = selections.map(({ start, end }) => ({ start: document.offsetAt(start), end: document.offsetAt(end) }));
  return ranges
    .filter(({ start, end }) => end > start)
    .sort((a, b) => a.start - b.start)
    .map((range) => rangeSource(document, 'selection', range));
}

export function documentSource(document: vscode.TextDocument): Source {
  const text = document.getText();
  return { uri: document.uri, scope: 'document', text, range: { start: 0, end: text.length } };
}

export function rangeSource(document: vscode.TextDocument, scope: Scope, range: TextRange): Source {
  const text = document.getText(toRange(document, range));
  return { uri: document.uri, scope, text, range: { start: range.start, end: range.start + text.length } };
}

export function toRange(document: vscode.TextDocument, { start, end }: TextRange): vscode.Range {
  return new vscode.Range(document.positionAt(start), document.positionAt(end));
}

/** What a run without a text is about, in one word, and its file where it has one. */
export function fileSource(prompt: RunRequest['prompt']): {
  readonly scope: 'typed' | 'ids' | 'image' | 'feeds';
  readonly uri?: vscode.Uri;
} {
  if ('image' in prompt) return { scope: 'image', uri: vscode.Uri.file(prompt.image) };
  if ('feeds' in prompt) return { scope: 'feeds', uri: vscode.Uri.file(prompt.feeds) };
  return { scope: 'text' in prompt ? 'typed' : 'ids' };
}

/** What a document is called: its path within the folder that is open; of a notebook's cell, the notebook's and which it is. */
export function documentTitle(uri: vscode.Uri): string {
  for (const notebook of vscode.workspace.notebookDocuments) {
    const cell = notebook.getCells().find(({ document }) => document.uri.toString() === uri.toString());
    if (cell) return `${vscode.workspace.asRelativePath(notebook.uri, false)} · cell ${cell.index + 1}`;
  }
  return vscode.workspace.asRelativePath(uri, false);
}

/** In words, which part of what was analyzed, with the window where the text was longer than what was run. */
export function scopeInWords(
  { uri, scope }: Pick<Source, 'uri' | 'scope'> | ReturnType<typeof fileSource>,
  tokens: TokensEvent | undefined,
): string {
  const part = {
    selection: 'selection',
    document: uri?.scheme === 'vscode-notebook-cell' ? 'whole cell' : 'whole document',
    cursor: 'from the cursor',
    typed: 'typed text',
    ids: 'token ids',
    image: 'picture',
    feeds: 'tensors',
  }[scope];
  const run = tokens && partRun(tokens);
  return run === undefined ? part : `${part}, ${run}`;
}
