/** What is asked in quick picks and input boxes. Each resolves with undefined when it is dismissed. */
import { dirname } from 'node:path';
import * as vscode from 'vscode';
import type { Problem } from '../errors.js';
import type { ChoiceInput, ExperimentInput, ModelInput, ModelsInput } from '../experiments/facts.js';
import { valueIn, wantedOf } from '../experiments/values.js';
import { type FoundModel, isMain } from '../models/find.js';
import type { Models } from './models.js';
import { type Choice, pick, pickGrowing, pickSeveral } from './surfaces.js';
import { bytesInWords, numberInWords, originInWords } from './words.js';

/** A model, or what leads to others. */
interface ModelChoice extends Choice {
  readonly model?: FoundModel;
  readonly open?: readonly [command: string, argument?: string];
}

/**
 * Which model to run from now on: of those known by now, and of all that are found while the list is open.
 *
 * @param isTaken which of them can be run
 */
export async function chooseModel(
  models: Models,
  chosen: FoundModel | undefined,
  isTaken: (model: FoundModel) => boolean = () => true,
): Promise<FoundModel | undefined> {
  const add: ModelChoice = {
    label: vscode.l10n.t('Add model paths…'),
    icon: 'add',
    open: ['workbench.action.openSettings', 'sinkscope.models'],
  };
  const trust: ModelChoice = {
    label: vscode.l10n.t('Trust this folder, to see its models…'),
    icon: 'shield',
    open: ['workbench.trust.manage'],
  };
  const others = vscode.workspace.isTrusted ? [add] : [trust, add];
  const listed = async () => {
    const items = (await models.list()).filter(isTaken).map((model) => ({
      label: model.name,
      icon: model.file === chosen?.file ? 'check' : 'blank',
      description: `${originInWords(model.origin)}, ${bytesInWords(model.bytes)}`,
      detail: model.origin === 'bundled' ? undefined : dirname(model.file),
      model,
    }));
    return { choices: [...items, ...others], isAll: models.isAll };
  };
  const picked = await pickGrowing<ModelChoice>(listed, models.onDidChange, {
    title: vscode.l10n.t('Choose the model to run'),
    searching: vscode.l10n.t('Still looking for models in the workspace and on this machine …'),
    isCurrent: ({ model }) => model !== undefined && model.file === chosen?.file,
  });
  if (picked?.open) await vscode.commands.executeCommand(...picked.open);
  return picked?.model;
}

/** Which file a model's file is to be compared with. */
export async function chooseOther(models: readonly FoundModel[], file: string): Promise<string | undefined> {
  const others = models.filter((model) => model.file !== file);
  const items = others.map((model) => ({
    label: model.name,
    description: `${originInWords(model.origin)}, ${bytesInWords(model.bytes)}`,
    detail: dirname(model.file),
    file: model.file,
  }));
  const browse = { label: vscode.l10n.t('Another file…'), icon: 'folder-opened', file: undefined };
  const picked = await pick([...items, browse], { title: vscode.l10n.t('Compare with'), matchOnDetail: true });
  if (!picked || picked.file !== undefined) return picked?.file;
  const chosen = await vscode.window.showOpenDialog({
    title: vscode.l10n.t('Compare with'),
    filters: { ONNX: ['onnx'] },
    defaultUri: vscode.Uri.file(dirname(file)),
  });
  return chosen?.[0]?.fsPath;
}

/** What to do with several selections. */
export async function chooseSelections(count: number): Promise<'compare' | 'first' | undefined> {
  const picked = await pick(
    [
      {
        label: vscode.l10n.t('Compare them: the first is pinned, the others are held against it'),
        result: 'compare' as const,
      },
      { label: vscode.l10n.t('Analyze only the first'), result: 'first' as const },
    ],
    { title: vscode.l10n.t('{0} texts are selected', count) },
  );
  return picked?.result;
}

/**
 * Which part to run of a text that is longer than the model takes.
 *
 * @param why it takes no more, in a sentence
 */
export async function choosePart(
  { context }: NonNullable<Problem['limit']>,
  why: string,
  cursor: boolean,
): Promise<'first' | 'last' | 'cursor' | undefined> {
  const most = numberInWords(context);
  const picked = await pick(
    [
      { label: vscode.l10n.t('The first {0} tokens', most), result: 'first' as const },
      { label: vscode.l10n.t('The last {0} tokens', most), result: 'last' as const },
      ...(cursor ? [{ label: vscode.l10n.t('{0} tokens from the cursor on', most), result: 'cursor' as const }] : []),
    ],
    {
      // A placeholder as long is cut before it comes to the reason.
      title: why,
      // It comes when a long text has been read, and may find the user typing, or the panel taking the focus.
      ignoreFocusOut: true,
    },
  );
  return picked?.result;
}

/** Token ids, for models without a tokenizer. */
export async function enterIds(): Promise<readonly number[] | undefined> {
  const typed = await vscode.window.showInputBox({
    title: vscode.l10n.t('Analyze token ids'),
    prompt: vscode.l10n.t('Token ids of the prompt, with spaces or commas between them'),
    placeHolder: '1 15 208 7',
    validateInput: (value) =>
      parseIds(value) ? undefined : vscode.l10n.t('Token ids are whole numbers from 0 on, e.g. 1 15 208 7.'),
  });
  return typed === undefined ? undefined : parseIds(typed);
}

/** What a token of a model without token ids is: `node`, `frame` …; empty: just a token. */
export async function enterTokenName(): Promise<string | undefined> {
  const typed = await vscode.window.showInputBox({
    title: vscode.l10n.t('Analyze with feeds'),
    prompt: vscode.l10n.t(
      'What is a token of this model? It is numbered, as in “node 3”; leave it empty for “token 3”.',
    ),
    placeHolder: 'node',
    validateInput: (value) => (value.trim().length > 40 ? vscode.l10n.t('At most 40 letters.') : undefined),
  });
  return typed?.trim();
}

/** Which axis of the residual stream counts tokens. */
export async function chooseAxis(extents: readonly number[]): Promise<number | undefined> {
  const picked = await pick(
    extents.map((extent, axis) => ({
      label: vscode.l10n.t('Axis {0}', axis),
      description: vscode.l10n.t('{0} tokens', numberInWords(extent)),
      axis,
    })),
    {
      title: vscode.l10n.t('The residual stream is [{0}]', extents.join(', ')),
      placeHolder: vscode.l10n.t('Which axis counts tokens? Of the others, the first example is analyzed.'),
      ignoreFocusOut: true,
    },
  );
  return picked?.axis;
}

/** One model of those found, or several. */
export async function pickModels(
  models: readonly FoundModel[],
  { kind, label: title }: ModelInput | ModelsInput,
): Promise<string | readonly string[] | undefined> {
  const items = models.map(({ name, file, origin }) => {
    return { label: name, description: file, file, picked: origin === 'bundled' && isMain(file) };
  });
  if (kind === 'model') return (await pick(items, { title }))?.file;
  const picked = await pickSeveral(items, { title });
  return picked?.map(({ file }) => file);
}

/** One of the choices of an input. */
export async function chooseOne({ label, choices, ask }: ChoiceInput): Promise<string | undefined> {
  const items = choices.map((choice) => ({ label: ask?.titles[choice] ?? choice, choice }));
  return (await pick(items, { title: ask?.question ?? label }))?.choice;
}

/** A value that is typed, checked while it is. */
export async function enterValue(input: ExperimentInput): Promise<unknown> {
  const typed = await vscode.window.showInputBox({
    title: input.label,
    validateInput: (words) => (valueIn(input, words) === undefined ? wantedOf(input) : undefined),
  });
  return typed === undefined ? undefined : valueIn(input, typed);
}

function parseIds(typed: string): number[] | undefined {
  const words = typed.split(/[\s,]+/).filter((word) => word !== '');
  return words.length > 0 && words.every((word) => /^\d{1,9}$/.test(word)) ? words.map(Number) : undefined;
}
