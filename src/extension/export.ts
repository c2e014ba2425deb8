/** Results as files. Each asks where to unless it is told, and resolves with the file, or undefined when dismissed. */
import { posix } from 'node:path';
import * as vscode from 'vscode';
import { toJson } from '../analysis/result.js';
import type { Thresholds } from '../analysis/thresholds.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { jsonOf } from '../visible.js';
import type { ShownRun } from './analyses.js';
import { fileName } from './plain.js';
import { fileSource } from './source.js';
import { pickSeveral } from './surfaces.js';

export async function exportJson(
  { source, request, analysis }: ShownRun,
  thresholds: Thresholds,
  to?: vscode.Uri,
): Promise<vscode.Uri | undefined> {
  if (!analysis.tokens) throw nothingYet();
  const file = to ?? (await askFile(resultName(source ?? fileSource(request.prompt)), 'json', vscode.l10n.t('Result')));
  if (file) await write(file, Buffer.from(`${jsonOf(toJson(analysis, thresholds), 2)}\n`));
  return file;
}

export async function exportPicture(name: string, png: Uint8Array): Promise<vscode.Uri | undefined> {
  const file = await askFile(name, 'png', vscode.l10n.t('Picture'));
  if (file) await write(file, png);
  return file;
}

/** A text as a file of this kind; the name is without its extension. */
export async function exportText(name: string, kind: 'json' | 'csv', text: string): Promise<vscode.Uri | undefined> {
  const file = await askFile(name, kind, vscode.l10n.t('Result'));
  if (file) await write(file, Buffer.from(text));
  return file;
}

/** Runs what is shown once more, writing every hidden state and what else is asked for; to a given file, all there is. */
export async function exportTensors(
  engine: Engine,
  { request, source, analysis }: ShownRun,
  to?: vscode.Uri,
): Promise<vscode.Uri | undefined> {
  if (!analysis.tokens) throw nothingYet();
  const parts = to ? tensorParts() : await askParts();
  const name = resultName(source ?? fileSource(request.prompt));
  const file = parts && (to ?? (await askFile(name, 'safetensors', vscode.l10n.t('Tensors'))));
  if (!file) return undefined;
  const has = (part: string) => parts.some((picked) => picked.part === part);
  const save = { file: file.fsPath, attention: has('attention'), mlp: has('mlp'), logits: has('logits') };
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: vscode.l10n.t('Saving tensors'),
    cancellable: true,
  };
  return vscode.window.withProgress(options, async (progress, token) => {
    const controller = new AbortController();
    token.onCancellationRequested(() => controller.abort());
    let layers = 1;
    for await (const event of engine.analyze({ ...request, save }, controller.signal)) {
      if (event.type === 'started') layers += event.model.layers;
      if (event.type === 'layer') progress.report({ increment: 100 / layers });
      if (event.type === 'failed') throw new SinkscopeError(event.problem);
    }
    return file;
  });
}

function tensorParts() {
  return [
    { label: vscode.l10n.t('Attention patterns'), description: 'attn.k [heads, T, T], cross.k', part: 'attention' },
    { label: vscode.l10n.t('MLP intermediate states'), description: 'mlp.k [T, D_mlp]', part: 'mlp' },
    { label: vscode.l10n.t('Logits'), description: 'logits [T, vocabulary]', part: 'logits' },
  ];
}

function askParts() {
  const title = vscode.l10n.t('Which tensors to save beside the hidden states');
  return pickSeveral(tensorParts(), { title });
}

function nothingYet(): SinkscopeError {
  return new SinkscopeError({
    code: 'input',
    message: vscode.l10n.t('The run has no result to export; run Analyze Prompt again.'),
  });
}

function resultName({ uri }: { readonly uri?: vscode.Uri }): string {
  return `${uri ? posix.parse(uri.path).name : 'tokens'}.sinkscope`;
}

async function askFile(name: string, extension: string, what: string): Promise<vscode.Uri | undefined> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const own = `${fileName(name)}.${extension}`;
  const defaultUri = folder ? vscode.Uri.joinPath(folder, own) : vscode.Uri.file(own);
  return vscode.window.showSaveDialog({ defaultUri, filters: { [what]: [extension] } });
}

async function write(file: vscode.Uri, bytes: Uint8Array): Promise<void> {
  try {
    await vscode.workspace.fs.writeFile(file, bytes);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new SinkscopeError(
      {
        code: 'save',
        file: file.fsPath,
        message: vscode.l10n.t('{0} could not be written ({1}); choose another place.', file.fsPath, cause),
      },
      { cause: error },
    );
  }
}
