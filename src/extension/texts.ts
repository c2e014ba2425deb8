/** The files that experiments run on; as their text, the document a person is in unless a file was chosen. */
import { posix } from 'node:path';
import * as vscode from 'vscode';
import { SinkscopeError } from '../errors.js';
import type { NamedText } from '../experiments/experiment.js';
import type { Input, Inputs } from '../experiments/facts.js';
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
    const files = Array.from(this.files, ([input, uris]) => [
      input,
      uris.length === 1 ? nameOf(uris[0]) : vscode.l10n.t('{0} files', uris.length),
    ]);
    return { ...(document && { text: document.name }), ...Object.fromEntries(files) };
  }

  /** Resolves with true where a text is chosen, also where it was before. */
  async choose(name: string, input: Input): Promise<boolean> {
    const document = name === 'text' ? this.document() : undefined;
    if (document) {
      const open = { label: document.name, description: vscode.l10n.t('open document'), open: true };
      const file = { label: vscode.l10n.t('Choose a file…'), open: false };
      const picked = await vscode.window.showQuickPick([open, file], { title: input.label });
      if (!picked) return false;
      if (picked.open) {
        this.put(name, undefined);
        return true;
      }
    }
    const many = input.kind === 'files';
    const chosen = await vscode.window.showOpenDialog({
      title: many ? input.label : vscode.l10n.t('{0}: choose a UTF-8 text file', input.label),
      openLabel: vscode.l10n.t('Choose'),
      canSelectMany: many,
      filters: many ? { [input.label]: [...input.extensions] } : undefined,
    });
    if (chosen) this.put(name, chosen);
    return this.files.has(name);
  }

  has(input: string): boolean {
    return this.names[input] !== undefined;
  }

  /**
   * The texts and the paths of files of an experiment, by name of their input; a {@link vscode.Uri} in `given` is read in
   * place of what is chosen.
   *
   * @throws SinkscopeError `file` or `input` where one cannot be read
   */
  async read(inputs: Inputs, given: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    const read: Record<string, unknown> = {};
    for (const [name, { kind }] of Object.entries(inputs)) {
      const value = given[name];
      const files = value instanceof vscode.Uri ? [value] : value === undefined ? this.files.get(name) : undefined;
      if (kind === 'files' && value === undefined) read[name] = files?.map(({ fsPath }) => fsPath);
      if (kind !== 'text') continue;
      if (files?.[0]) read[name] = { name: nameOf(files[0]), text: await readText(files[0]) };
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

async function readText(file: vscode.Uri): Promise<string> {
  const bytes = await vscode.workspace.fs.readFile(file).then(undefined, (error: unknown) => {
    const cause = error instanceof Error ? error.message : String(error);
    const message = vscode.l10n.t('{0} could not be read ({1}); choose another file.', file.fsPath, cause);
    throw new SinkscopeError({ code: 'file', file: file.fsPath, message }, { cause: error });
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const message = vscode.l10n.t('{0} is not UTF-8 text; convert it first, or choose another file.', file.fsPath);
    throw new SinkscopeError({ code: 'input', file: file.fsPath, message }, { cause: error });
  }
}
