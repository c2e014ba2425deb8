/** Pictures and tensors as prompts: which file, and what a model can do with it. */
import * as vscode from 'vscode';
import { pixelInput } from '../anatomy/pictures.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { pictureEndings } from '../experiments/shared/pictures.js';

/** The path of a picture: given, else the one that is open in front, else what the user chooses; undefined when dismissed. */
export async function pictureFile(given: vscode.Uri | undefined): Promise<string | undefined> {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  const isPicture = ({ path }: vscode.Uri) =>
    pictureEndings.some((ending) => path.toLowerCase().endsWith(`.${ending}`));
  const open = input instanceof vscode.TabInputCustom && isPicture(input.uri) ? input.uri : undefined;
  return path(given ?? open ?? (await choose(vscode.l10n.t('Pictures'), [...pictureEndings])));
}

/** The path of a file with tensors by input name: given, else what the user chooses; undefined when dismissed. */
export async function feedsFile(given: vscode.Uri | undefined): Promise<string | undefined> {
  return path(given ?? (await choose(vscode.l10n.t('Tensors'), ['safetensors', 'npz'])));
}

/** False too for what is no readable model. */
export async function takesPictures(engine: Engine, model: string): Promise<boolean> {
  const inspection = await engine.inspect(model, undefined, { takes: 'image' }).catch(() => undefined);
  return inspection !== undefined && pixelInput(inspection.anatomy.inputs) !== undefined;
}

/** @throws SinkscopeError where the model cannot be read */
export async function takesIds(engine: Engine, model: string): Promise<boolean> {
  const { anatomy } = await engine.inspect(model, undefined, { takes: 'text' });
  return anatomy.inputs.some(({ role }) => role === 'token-ids');
}

async function choose(what: string, extensions: string[]): Promise<vscode.Uri | undefined> {
  const picked = await vscode.window.showOpenDialog({
    title: vscode.l10n.t('Choose what to analyze'),
    openLabel: vscode.l10n.t('Analyze'),
    filters: { [what]: extensions },
    defaultUri: vscode.workspace.workspaceFolders?.[0]?.uri,
  });
  return picked?.[0];
}

function path(file: vscode.Uri | undefined): string | undefined {
  if (file && file.scheme !== 'file') {
    throw new SinkscopeError({
      code: 'input',
      message: vscode.l10n.t('{0} is not on the disk of this machine; save a copy there and analyze that.', file.path),
    });
  }
  return file?.fsPath;
}
