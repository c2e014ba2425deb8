/** The models there are, and the chosen one. */
import { sep } from 'node:path';
import * as vscode from 'vscode';
import type { RunRequest } from '../engine/contract/events.js';
import { SinkscopeError } from '../errors.js';
import { machineCaches } from '../models/caches.js';
import { type Found, type FoundModel, findModels, findNamed, namedPath } from '../models/find.js';
import type { SettingsWatch } from './configuration.js';

export class Models implements vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<void>();
  /** The list, or which of it is chosen, is another one. */
  readonly onDidChange = this.changes.event;
  private readonly subscriptions: readonly vscode.Disposable[];
  /** Bundled, or named in the settings: found at once. */
  private near: Promise<Found> | undefined;
  /** In the workspace, which may be large, and where other programs keep them: searched while everything else goes on. */
  private far: Found = { models: [], left: [] };
  private search: Promise<void> | undefined;
  private searching = false;
  /** What pictures are run with; undefined until that is known. Texts keep the model that they have. */
  forPictures: FoundModel | undefined;

  constructor(
    private readonly bundled: string,
    private readonly settings: SettingsWatch,
  ) {
    this.subscriptions = [
      this.changes,
      settings.onDidChange(() => {
        this.near = undefined;
        this.changes.fire();
      }),
      vscode.workspace.onDidChangeWorkspaceFolders(() => this.refresh()),
      vscode.workspace.onDidGrantWorkspaceTrust(() => this.refresh()),
    ];
  }

  /** What is known by now; the first call begins the search of what is far, which ends in a change. */
  async list(): Promise<readonly FoundModel[]> {
    this.search ??= this.searchFar();
    const near = await this.findNear();
    const local = new Set(this.far.models.map(({ file }) => file));
    return [...near.models.filter(({ file }) => !local.has(file)), ...this.far.models];
  }

  /** Whether all there is has been found. */
  get isAll(): boolean {
    return this.search !== undefined && !this.searching;
  }

  /** What was left out of {@link list}, a sentence each. */
  async left(): Promise<readonly string[]> {
    return [...(await this.findNear()).left, ...this.far.left];
  }

  /** All there are, once the search of what is far has ended. */
  async all(): Promise<readonly FoundModel[]> {
    await this.list();
    await this.search;
    return this.list();
  }

  /** Looks again, everywhere. */
  refresh(): void {
    this.near = undefined;
    this.search = undefined;
    this.changes.fire();
  }

  /** The model that the choice or the setting names. Throws a `SinkscopeError` where there is none. */
  async chosen(): Promise<FoundModel> {
    const { model } = this.settings.current;
    const { models } = await this.findNear();
    const path = namedPath(model, trustedFolders()[0]);
    const found =
      models.find(({ origin, name }) => origin === 'bundled' && name === model) ??
      models.find(({ file }) => file === path) ??
      models.find(({ file }) => path !== undefined && file.startsWith(path + sep));
    if (found) return found;
    throw new SinkscopeError({
      code: 'file',
      message: vscode.l10n.t('{0} is neither a bundled model nor an .onnx file; choose another model.', model),
      file: path,
    });
  }

  /** What a prompt is run with: pictures have a model of their own once that is known. Throws as {@link chosen}. */
  async chosenFor(prompt: RunRequest['prompt']): Promise<FoundModel> {
    return ('image' in prompt ? this.forPictures : undefined) ?? this.chosen();
  }

  /** Makes `model` the chosen one. */
  choose({ origin, name, file }: Pick<FoundModel, 'origin' | 'name' | 'file'>): void {
    this.settings.choose({ model: origin === 'bundled' ? name : file });
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private findNear(): Promise<Found> {
    this.near ??= findNamed(this.settings.current, this.bundled, trustedFolders()[0]);
    return this.near;
  }

  private async searchFar(): Promise<void> {
    this.searching = true;
    const caches = machineCaches(process.env);
    const folders = trustedFolders();
    const { models, left } = await findModels({ bundled: this.bundled, settings: [], folders, caches }).finally(() => {
      this.searching = false;
    });
    this.far = { models: models.filter(({ origin }) => origin !== 'bundled'), left };
    this.changes.fire();
  }
}

/** Folders of the workspace on this machine's disk; none as long as it is not trusted, for nothing of it is read then. */
export function trustedFolders(): string[] {
  const folders = vscode.workspace.isTrusted ? (vscode.workspace.workspaceFolders ?? []) : [];
  return folders.filter(({ uri }) => uri.scheme === 'file').map(({ uri }) => uri.fsPath);
}
