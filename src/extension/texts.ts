/** The texts that experiments run on: the document a person is in, unless a file was chosen. */
import { posix } from 'node:path';
import * as vscode from 'vscode';
import { SinkscopeError } from '../errors.js';
import type { NamedText } from '../experiments/experiment.js';
import type { Inputs } from '../experiments/facts.js';
import type { Analyses } from './analyses.js';
import { chosenSource } from './source.js';

export class Texts implements vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<void>();
  /** A text is called otherwise, or another one is chosen. */
  readonly onDidChange = this.changes.event;
  private readonly subscription: vscode.Disposable;
  /** By name of the input. */
  private readonly files = new Map<string, vscode.Uri>();

  constructor(private readonly analyses: Analyses) {
    this.subscription = vscode.window.onDidChangeActiveTextEditor(() => this.changes.fire());
  }

  /** What each text is called, by name of the input. */
  get names(): Record<string, string> {
    const document = this.document();
    const files = Array.from(this.files, ([input, uri]) => [input, nameOf(uri)]);
    return { ...(document && { text: document.name }), ...Object.fromEntries(files) };
  }

  /** Resolves with true where a text is chosen, also where it was before. */
  async choose(input: string, label: string): Promise<boolean> {
    const document = input === 'text' ? this.document() : undefined;
    if (document) {
      const open = { label: document.name, description: vscode.l10n.t('open document'), open: true };
      const file = { label: vscode.l10n.t('Choose a file…'), open: false };
      const picked = await vscode.window.showQuickPick([open, file], { title: label });
      if (!picked) return false;
      if (picked.open) {
        this.put(input, undefined);
        return true;
      }
    }
    const title = vscode.l10n.t('{0}: choose a UTF-8 text file', label);
    const [chosen] = (await vscode.window.showOpenDialog({ title, openLabel: vscode.l10n.t('Choose') })) ?? [];
    if (chosen) this.put(input, chosen);
    return this.files.has(input);
  }

  has(input: string): boolean {
    return this.names[input] !== undefined;
  }

  /**
   * The texts of an experiment by name of their input; a {@link vscode.Uri} in `given` is read in place of what is chosen.
   *
   * @throws SinkscopeError `file` or `input` where one cannot be read
   */
  async read(inputs: Inputs, given: Readonly<Record<string, unknown>>): Promise<Record<string, NamedText>> {
    const texts: Record<string, NamedText> = {};
    for (const [input, { kind }] of Object.entries(inputs)) {
      if (kind !== 'text') continue;
      const value = given[input];
      const file = value instanceof vscode.Uri ? value : this.files.get(input);
      const text = file ? { name: nameOf(file), text: await readText(file) } : input === 'text' && this.document();
      if (text) texts[input] = text;
    }
    return texts;
  }

  dispose(): void {
    this.subscription.dispose();
    this.changes.dispose();
  }

  private put(input: string, file: vscode.Uri | undefined): void {
    if (file) this.files.set(input, file);
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
