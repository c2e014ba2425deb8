/** The texts and files that experiments run on: a document, unless files were chosen in its place. */
import { posix } from 'node:path';
import * as vscode from 'vscode';
import { SinkscopeError } from '../errors.js';
import type { ExperimentInput, ExperimentInputs, FilesInput, TextInput, TextsInput } from '../experiments/facts.js';
import { readDocument, readTexts } from '../experiments/shared/files.js';
import { type RecordReader, recordsAt } from '../experiments/shared/records.js';
import { type Corpus, type Given, isOfUse, type NamedText } from '../experiments/values.js';
import type { TextNames } from '../protocol.js';
import type { Analyses } from './analyses.js';
import { chosenSource, type Source } from './source.js';
import { pick } from './surfaces.js';

/** Public-domain books that come with the extension, long enough for every experiment as it is set at first. */
const corpus = [
  { label: 'Three Men in a Boat', file: 'three-men-in-a-boat.md' },
  { label: 'The Pit and the Pendulum', file: 'pit-and-pendulum.md' },
] as const;

/** Of these what is meant where one is needed and none is chosen: it is short. */
const calibration = corpus[1].file;

export type FileInput = TextInput | TextsInput | FilesInput;

/** Whether an input is given as a document or as files. */
export function isOfFiles(input: ExperimentInput): input is FileInput {
  return input.kind === 'text' || input.kind === 'texts' || input.kind === 'files';
}

export class Texts implements vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<void>();
  /** A document is called otherwise, or other files are chosen. */
  readonly onDidChange = this.changes.event;
  private readonly subscriptions: readonly vscode.Disposable[];
  /** By name of the input: what is chosen for one experiment is chosen for all that have an input of that name. */
  private readonly files = new Map<string, readonly vscode.Uri[]>();

  constructor(
    private readonly analyses: Analyses,
    /** The extension's folder. */
    private readonly extension: vscode.Uri,
  ) {
    this.subscriptions = [
      this.changes,
      vscode.window.onDidChangeActiveTextEditor(() => this.changes.fire()),
      analyses.onDidChange(({ type }) => {
        if (type === 'run') this.changes.fire();
      }),
    ];
  }

  /** What documents and chosen files are called. */
  get names(): TextNames {
    return {
      documents: { open: this.open?.name, analysed: this.analysed?.name, bundled: calibration },
      chosen: Object.fromEntries(Array.from(this.files, ([input, uris]) => [input, together(uris)])),
    };
  }

  /** Whether there is something for an input: files that were chosen, or its document. */
  has(name: string, input: FileInput): boolean {
    return this.files.has(name) || isBundled(input) || this.documentOf(input) !== undefined;
  }

  /** Resolves with true where there is something for the input, also where it was there before. */
  async choose(name: string, input: FileInput): Promise<boolean> {
    const several = input.kind === 'texts';
    const document = this.documentOf(input);
    const bundled = vscode.l10n.t('comes with Sinkscope');
    const items = [
      ...(document ? [{ label: document.name, description: vscode.l10n.t('open document'), take: 'open' }] : []),
      ...(input.kind === 'files' ? [] : corpus.map(({ label, file }) => ({ label, description: bundled, take: file }))),
      { label: several ? vscode.l10n.t('Choose files…') : vscode.l10n.t('Choose a file…'), take: 'files' },
      ...(several ? [{ label: vscode.l10n.t('Choose a folder…'), take: 'folder' }] : []),
    ];
    const picked = items.length > 1 ? await pick(items, { title: input.label }) : items[0];
    if (!picked) return false;
    if (picked.take === 'open') {
      this.put(name, undefined);
      return true;
    }
    const book = corpus.find(({ file }) => file === picked.take);
    if (book) {
      this.put(name, [this.bookAt(book.file)]);
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

  /**
   * The texts and the paths of files of an experiment, by name of their input; a {@link vscode.Uri} in `given`, or a
   * list of them, is read in place of what is chosen.
   *
   * @throws SinkscopeError `file` or `input` where one cannot be read
   */
  async read(inputs: ExperimentInputs, given: Given, reader: RecordReader): Promise<Given> {
    const read: Record<string, unknown> = {};
    for (const [name, input] of Object.entries(inputs)) {
      if (!isOfFiles(input) || !isOfUse(inputs, name, given)) continue;
      const value = given[name];
      const chosen = value === undefined ? this.files.get(name) : urisOf(value);
      const meant = value === undefined && isBundled(input) ? [this.bookAt(calibration)] : undefined;
      const files = chosen ?? meant ?? this.openRecords(input, value);
      read[name] = (files && (await readFiles(input, files, reader))) ?? value ?? this.documentOf(input);
    }
    return read;
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private bookAt(file: string): vscode.Uri {
    return vscode.Uri.joinPath(this.extension, 'dist', 'corpus', file);
  }

  private put(input: string, files: readonly vscode.Uri[] | undefined): void {
    if (files) this.files.set(input, files);
    else this.files.delete(input);
    this.changes.fire();
  }

  /** What an input takes where no files are chosen. */
  private documentOf(input: FileInput): NamedText | Corpus | undefined {
    if (input.kind === 'files' || input.document === undefined || input.document === 'bundled') return undefined;
    const document = input.document === 'analysed' ? this.analysed : this.open;
    return document && input.kind === 'texts' ? { name: document.name, texts: [document] } : document;
  }

  /** What was analysed last, and else what is open. */
  get analysed(): NamedText | undefined {
    const { source } = this.analyses.run ?? {};
    return source ? named(source) : this.open;
  }

  private get open(): NamedText | undefined {
    const source = this.source;
    return source && named(source);
  }

  /**
   * The whole document that is open, where it is a file of records: its texts are meant, not the signs between them.
   *
   * @throws SinkscopeError `input` where it is not on the disk as it is
   */
  private openRecords(input: FileInput, value: unknown): readonly vscode.Uri[] | undefined {
    if (value !== undefined || input.kind === 'files' || input.document !== 'open') return undefined;
    const { source } = this;
    if (source?.scope !== 'document' || !recordsAt(source.uri.path)) return undefined;
    const { uri } = source;
    const open = vscode.workspace.textDocuments.find((document) => document.uri.toString() === uri.toString());
    if (uri.scheme === 'file' && !open?.isDirty) return [uri];
    const message = vscode.l10n.t('{0} is not saved; save it first: its records are read from the disk.', nameOf(uri));
    throw new SinkscopeError({ code: 'input', message });
  }

  /** The selection or the whole of the active editor; what was analysed where none is active, as from the panel. */
  private get source(): Source | undefined {
    const editor = vscode.window.activeTextEditor;
    const source = editor && editor.document.uri.scheme !== 'output' ? chosenSource(editor) : this.analyses.run?.source;
    const [visible] = vscode.window.visibleTextEditors.filter(({ document }) => document.uri.scheme !== 'output');
    return source ?? (visible && chosenSource(visible));
  }
}

const isBundled = (input: FileInput) => input.kind !== 'files' && input.document === 'bundled';

const nameOf = (uri: vscode.Uri) => posix.basename(uri.path);

/** What files or a folder are called in a few words: in results as well, and so in English. */
const together = (uris: readonly vscode.Uri[]) =>
  uris.length === 1 && uris[0] ? nameOf(uris[0]) : `${uris.length} files`;

function named({ uri, scope, text }: Source): NamedText {
  if (scope === 'selection') return { name: `${nameOf(uri)}, selection`, text };
  return { name: nameOf(uri), text, file: scope === 'document' ? fileOf(uri, text) : undefined };
}

/** The file that holds exactly this text. */
function fileOf(uri: vscode.Uri, text: string): string | undefined {
  const document = vscode.workspace.textDocuments.find((one) => one.uri.toString() === uri.toString());
  const saved = uri.scheme === 'file' && document && !document.isDirty && document.getText() === text;
  return saved ? uri.fsPath : undefined;
}

/** What an input takes of files. */
async function readFiles(input: FileInput, uris: readonly vscode.Uri[], reader: RecordReader): Promise<unknown> {
  const paths = uris.map(({ fsPath }) => fsPath);
  if (input.kind === 'files') return paths;
  if (input.kind === 'texts') return { name: together(uris), texts: readTexts(paths, reader) };
  const [uri] = uris;
  return uri && { name: nameOf(uri), text: await readDocument(uri.fsPath, reader), file: uri.fsPath };
}

function urisOf(value: unknown): readonly vscode.Uri[] | undefined {
  const uris: unknown[] = Array.isArray(value) ? value : [value];
  return uris.every((one) => one instanceof vscode.Uri) ? uris : undefined;
}
