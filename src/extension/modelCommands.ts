/** Where models come from, and what belongs to them: commands of the models view, the palette and the walkthrough. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as vscode from 'vscode';
import { SinkscopeError } from '../errors.js';
import { modelName } from '../models/find.js';
import type { Analyses } from './analyses.js';
import type { SettingsWatch } from './configuration.js';
import { type HubGiven, openFromHub } from './hub.js';
import type { Models } from './models.js';
import { givenModel, type ModelGiven } from './modelsView.js';
import { contributedId, type ModelCommand, modelCommands } from './names.js';
import { type Action, registerCommand } from './register.js';
import type { Reports } from './reports.js';
import { notify, pick } from './surfaces.js';
import type { Tokenizers } from './tokenizers.js';

interface Parts {
  readonly analyses: Analyses;
  readonly models: Models;
  readonly settings: SettingsWatch;
  readonly tokenizers: Tokenizers;
  readonly reports: Reports;
}

export function registerModelCommands({ analyses, models, settings, tokenizers, reports }: Parts): vscode.Disposable {
  /** What is shown, with what has just been chosen. */
  const again = async (): Promise<void> => {
    if (analyses.run) await vscode.commands.executeCommand(contributedId('analyzeAgain'));
  };

  const actions: Readonly<Record<ModelCommand, Action>> = {
    /** Programs may name repository and file, and get the path of the model. */
    async openHub(given?: HubGiven) {
      const file = await openFromHub(analyses.engine, settings.current.hubEndpoint, given);
      if (file === undefined) return undefined;
      models.refresh();
      models.choose({ origin: 'machine', name: modelName(file), file });
      notify('information', vscode.l10n.t('{0} is on this machine and chosen.', modelName(file)), {
        title: vscode.l10n.t('Try the Sample'),
        command: contributedId('analyzeSample'),
      });
      await again();
      return file;
    },
    /** The models view gives what was dropped on it; people choose. */
    async addModel(given?: readonly vscode.Uri[]) {
      const picked =
        given ??
        (await vscode.window.showOpenDialog({
          title: vscode.l10n.t('Add models'),
          openLabel: vscode.l10n.t('Add'),
          canSelectMany: true,
          filters: { [vscode.l10n.t('ONNX models')]: ['onnx'] },
          defaultUri: vscode.workspace.workspaceFolders?.[0]?.uri,
        }));
      if (!picked) return;
      const paths = await Promise.all(picked.map(modelPath));
      await addPaths(paths);
      const [first] = paths;
      const found = (await models.list()).find(({ file }) => file === first);
      if (!found) return;
      models.choose(found);
      await again();
    },
    /** Of a model, else of the chosen one. Menus give all that are selected as well, programs the tokenizer's file. */
    async chooseTokenizer(given?: ModelGiven, named?: unknown) {
      const model = given === undefined ? (await models.chosen()).file : givenModel(given);
      const file = typeof named === 'string' ? named : await tokenizerFile(model, tokenizers.of(model));
      if (file === undefined) return;
      tokenizers.choose(model, file === 'own' ? undefined : file);
      await again();
    },
  };
  return vscode.Disposable.from(
    ...modelCommands.map((name) => registerCommand(contributedId(name), actions[name], reports)),
  );
}

/** @throws SinkscopeError `input` for what is neither a model nor a folder on this machine's disk */
async function modelPath(uri: vscode.Uri): Promise<string> {
  const { scheme, fsPath } = uri;
  const isFolder = scheme === 'file' && (await stat(fsPath).catch(() => undefined))?.isDirectory() === true;
  if (scheme === 'file' && (isFolder || /\.onnx$/i.test(fsPath))) return fsPath;
  throw new SinkscopeError({
    code: 'input',
    file: fsPath,
    message: vscode.l10n.t('{0} is no .onnx file or folder on the disk of this machine; add one that is.', uri.path),
  });
}

/** Names paths in the setting that is in force: the user's, unless a workspace has one of its own. */
async function addPaths(paths: readonly string[]): Promise<void> {
  const section = vscode.workspace.getConfiguration('sinkscope');
  const before = section.get<unknown>('models');
  const list = Array.isArray(before) ? before : [];
  const fresh = paths.filter((path) => !list.includes(path));
  if (fresh.length === 0) return;
  const own = section.inspect('models')?.workspaceValue !== undefined;
  const target = own ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  await section.update('models', [...list, ...fresh], target);
}

/** What the user chooses for a model; `own`: none but what lies beside it. Undefined when dismissed. */
async function tokenizerFile(model: string, chosen: string | undefined): Promise<string | undefined> {
  if (chosen !== undefined) {
    const other = { label: vscode.l10n.t('Choose another tokenizer.json…'), icon: 'folder-opened', own: false };
    const own = { label: vscode.l10n.t('Use what lies beside the model'), icon: 'discard', own: true };
    const title = vscode.l10n.t('{0} is run with {1}', modelName(model), chosen);
    const picked = await pick([other, own], { title });
    if (!picked) return undefined;
    if (picked.own) return 'own';
  }
  const files = await vscode.window.showOpenDialog({
    title: vscode.l10n.t('Choose the tokenizer.json of {0}', modelName(model)),
    openLabel: vscode.l10n.t('Choose'),
    filters: { [vscode.l10n.t('Tokenizers')]: ['json'] },
    defaultUri: vscode.Uri.file(dirname(chosen ?? model)),
  });
  return files?.[0]?.fsPath;
}
