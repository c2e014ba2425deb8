/** The files that experiments run on; as their text, the document a person is in unless a file was chosen. */
import { posix } from 'node:path';
import * as vscode from 'vscode';
import type { Corpus, NamedText } from '../experiments/before/experiment.js';
import type { Input, Inputs } from '../experiments/before/facts.js';
import { readText, readTexts } from '../experiments/shared/files.js';
import type { Analyses } from './analyses.js';
import { chosenSource } from './source.js';

export class Texts implements vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<void>();
  /** A text is called otherwise, or another one is chosen. */
  readonly onDidChange = this.changes.event;
  private readonly subscription: vscode.Disposable;
  /** By name of the input. */
  private readonly files = new Map<string, readonly vscode.Uri[]>();

  constructor(private readonly analyses: Analyses) {
    this.subscription = vscode.window.onDidChangeActiveTextEditor(() => this.changes.fire());
  }

  /** What each text is called, by name of the input. */
  get names(): Record<string, string> {
    const document = this.document();
    const files = Array.from(this.files, ([input, uris]) => [input, together(uris)]);
    return { ...(document && { text: document.name, texts: document.name }), ...Object.fromEntries(files) };
  }

  /** Resolves with true where a text is chosen, also where it was before. */
  async choose(name: string, input: Input): Promise<boolean> {
    const several = input.kind === 'texts';
    const document = name === 'text' || several ? this.document() : undefined;
    const items = [
      ...(document ? [{ label: document.name, description: vscode.l10n.t('open document'), take: 'open' }] : []),
      { label: several ? vscode.l10n.t('Choose files…') : vscode.l10n.t('Choose a file…'), take: 'files' },
      ...(several ? [{ label: vscode.l10n.t('Choose a folder…'), take: 'folder' }] : []),
    ];
    const picked = items.length > 1 ? await vscode.window.showQuickPick(items, { title: input.label }) : items[0];
    if (!picked) return false;
    if (picked.take === 'open') {
      this.put(name, undefined);
      return true;
    }
    // A dialog takes either files or folders, but on macOS.
    const folder = picked.take === 'folder';
    const chosen = await vscode.window.showOpenDialog({
      title: input.kind === 'files' ? input.label : vscode.l10n.t('{0}: choose UTF-8 text', input.label),
      openLabel: vscode.l10n.t('Choose'),
      canSelectMany: input.kind === 'files' || (several && !folder),
      canSelectFiles: !folder,
      canSelectFolders: folder,
      filters: input.kind === 'files' ? { [input.label]: [...input.extensions] } : undefined,
    });
    if (chosen) this.put(name, chosen);
    return this.files.has(name);
  }

  has(input: string): boolean {
    return this.names[input] !== undefined;
  }

  /**
   * The texts and the paths of files of an experiment, by name of their input; a {@link vscode.Uri} in `given`, or a
   * list of them, is read in place of what is chosen.
   *
   * @throws SinkscopeError `file` or `input` where one cannot be read
   */
  async read(inputs: Inputs, given: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    const read: Record<string, unknown> = {};
    for (const [name, { kind }] of Object.entries(inputs)) {
      const value = given[name];
      const files = value === undefined ? this.files.get(name) : urisOf(value);
      if (kind === 'files' && value === undefined) read[name] = files?.map(({ fsPath }) => fsPath);
      if (kind === 'texts') read[name] = files ? corpusOf(files) : this.documents();
      if (kind !== 'text') continue;
      if (files?.[0]) read[name] = { name: nameOf(files[0]), text: await readText(files[0].fsPath) };
      else if (name === 'text') read[name] = value ?? this.document();
    }
    return read;
  }

  dispose(): void {
    this.subscription.dispose();
    this.changes.dispose();
  }

  private put(input: string, files: readonly vscode.Uri[] | undefined): void {
    if (files) this.files.set(input, files);
    else this.files.delete(input);
    this.changes.fire();
  }

  private documents(): Corpus | undefined {
    const document = this.document();
    return document && { name: document.name, texts: [document] };
  }

  /** The selection or the whole of the active editor; what was analyzed where none is active, as from the panel. */
  private document(): NamedText | undefined {
    const editor = vscode.window.activeTextEditor;
    const source = editor && editor.document.uri.scheme !== 'output' ? chosenSource(editor) : this.analyses.run?.source;
    const [visible] = vscode.window.visibleTextEditors.filter(({ document }) => document.uri.scheme !== 'output');
    const { uri, text, scope } = source ?? (visible ? chosenSource(visible) : {});
    if (!uri || text === undefined) return undefined;
    return { name: scope === 'selection' ? vscode.l10n.t('{0}, selection', nameOf(uri)) : nameOf(uri), text };
  }
}

const nameOf = (uri: vscode.Uri) => posix.basename(uri.path);

/** What files or a folder are called in a few words. */
const together = (uris: readonly vscode.Uri[]) =>
  uris.length === 1 ? nameOf(uris[0]) : vscode.l10n.t('{0} files', uris.length);

const corpusOf = (uris: readonly vscode.Uri[]): Corpus => {
  return { name: together(uris), texts: readTexts(uris.map(({ fsPath }) => fsPath)) };
};

function urisOf(value: unknown): readonly vscode.Uri[] | undefined {
  const uris: unknown[] = Array.isArray(value) ? value : [value];
  return uris.every((one) => one instanceof vscode.Uri) ? uris : undefined;
}
