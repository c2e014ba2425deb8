/** Results as files. Each asks where to unless it is told, and resolves with the file, or undefined when dismissed. */
import { posix } from 'node:path';
import * as vscode from 'vscode';
import type { Analysis } from '../analysis/analysis.js';
import { presentAnalysis } from '../analysis/present.js';
import { toJson } from '../analysis/result.js';
import type { Selection } from '../analysis/selection.js';
import { defaultThresholds, type Thresholds } from '../analysis/thresholds.js';
import { fileReason, SinkscopeError } from '../errors.js';
import type { Asked } from '../protocol.js';
import { type Answer, contentsOf, type Reported } from '../report/contents.js';
import { reportOf } from '../report/write.js';
import { pictureToShow } from '../tokens/shown.js';
import { jsonOf } from '../visible.js';
import type { Analyses, ShownRun } from './analyses.js';
import { fileName } from './plain.js';
import { fileSource, scopeInWords } from './source.js';
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

/** Bytes as a file of this kind; the name is without its extension. */
export async function exportBytes(
  name: string,
  kind: 'json' | 'csv' | 'svg' | 'png',
  bytes: Uint8Array,
): Promise<vscode.Uri | undefined> {
  const what = kind === 'svg' || kind === 'png' ? vscode.l10n.t('Picture') : vscode.l10n.t('Result');
  const file = await askFile(name, kind, what);
  if (file) await write(file, bytes);
  return file;
}

/**
 * One HTML file with the run, the experiments that have ended, and of what the panel asks the engine, what is open now.
 *
 * @param webview folder of the built webview
 */
export async function exportReport(
  analyses: Analyses,
  shown: Pick<Reported, 'experiments' | 'thresholds' | 'tint'>,
  webview: vscode.Uri,
  to?: vscode.Uri,
): Promise<vscode.Uri | undefined> {
  const { run, selection } = analyses;
  if (!run?.analysis.tokens) throw nothingYet();
  const { source, request, analysis } = run;
  const about = source ?? fileSource(request.prompt);
  const file = to ?? (await askFile(resultName(about), 'html', vscode.l10n.t('Report')));
  if (!file) return undefined;
  const name = about.uri && posix.basename(about.uri.path);
  const thresholds = shown.thresholds ?? defaultThresholds;
  const contents = contentsOf({
    ...shown,
    name,
    scope: scopeInWords(about, analysis.tokens),
    analysis,
    selection,
    answers: await openAnswers(analyses, analysis, selection),
  });
  const html = await reportOf(contents, presentAnalysis(analysis, thresholds, { name }), webview.fsPath);
  await write(file, Buffer.from(html));
  return file;
}

/** What the panel has asked for to show what is selected; what cannot be had is left out, and the report says so there. */
async function openAnswers(
  analyses: Analyses,
  analysis: Analysis,
  { token, layer, head }: Selection,
): Promise<Answer[]> {
  const questions: Extract<Asked, { type: 'pattern' | 'predictions' }>[] = [
    ...(token === undefined || !analysis.predictions ? [] : [{ type: 'predictions' as const, token }]),
    ...(layer === undefined || layer === 0 || head === undefined ? [] : [{ type: 'pattern' as const, layer, head }]),
  ];
  const answers = questions.map(async (query): Promise<Answer[]> => {
    try {
      return [{ query, value: rounded(await analyses.query(query)) }];
    } catch {
      return [];
    }
  });
  const picture = analyses.run?.file === undefined ? analysis.tokens?.picture?.file : undefined;
  const image = picture === undefined ? undefined : vscode.workspace.fs.readFile(vscode.Uri.file(picture));
  const bytes = await image?.then((read) => pictureToShow(Buffer.from(read))).then(undefined, () => undefined);
  const all = (await Promise.all(answers)).flat();
  return bytes ? [...all, { query: { type: 'picture' }, value: { bytes } }] : all;
}

/** A pattern's weights to 1/65,536, of which two decimals are shown: the last bits of floats are most of a report's size. */
function rounded(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || !('values' in answer)) return answer;
  const { values } = answer;
  if (!(values instanceof Float32Array)) return answer;
  return { ...answer, values: values.map((weight) => Math.round(weight * 65_536) / 65_536) };
}

/** Runs what is shown once more, writing every hidden state and what else is asked for; to a given file, all there is. */
export async function exportTensors(analyses: Analyses, to?: vscode.Uri): Promise<vscode.Uri | undefined> {
  if (!analyses.run?.analysis.tokens) throw nothingYet();
  const { request, source, file: result } = analyses.run;
  if (result !== undefined) throw withoutModel(result);
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
    for await (const event of analyses.again(save, controller.signal)) {
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

/** What asks for the model that made a saved result. */
export function withoutModel(file: string): SinkscopeError {
  const message = vscode.l10n.t(
    '{0} is a saved result, without the text and the model that made it; analyze a text instead.',
    file,
  );
  return new SinkscopeError({ code: 'input', file, message });
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
  return vscode.window.showSaveDialog({
    title: vscode.l10n.t('Save As'),
    defaultUri,
    filters: { [what]: [extension] },
  });
}

async function write(file: vscode.Uri, bytes: Uint8Array): Promise<void> {
  try {
    await vscode.workspace.fs.writeFile(file, bytes);
  } catch (error) {
    // VS Code names its errors by words of its own; the system's is what the message begins with.
    const said = error instanceof Error ? error.message : String(error);
    const code = /\bE[A-Z]{2,}\b/.exec(said)?.[0];
    const cause = fileReason(Object.assign(new Error(said), { code }));
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
