import * as vscode from 'vscode';
import type { Problem, ProblemCode } from '../errors.js';
import { visible } from '../visible.js';
import { contributedId } from './names.js';
import { notify } from './surfaces.js';

/** Problems another model may not have. */
const ofTheModel: ReadonlySet<ProblemCode> = new Set([
  'file',
  'external-data',
  'graph',
  'not-a-transformer',
  'tokenizer',
  'runtime',
]);

/** Tells the user, once and with what can be done; details go to the log. */
export class Reports {
  constructor(readonly log: vscode.LogOutputChannel) {}

  /** A failure in a notification; nothing for what the user cancelled. */
  problem(problem: Problem): void {
    if (problem.code === 'cancelled') return;
    const { code, message, file, detail } = problem;
    // The detail is of several lines: a stack, what ONNX Runtime said.
    const lines = [`${code}: ${message}`, file, ...(detail?.split('\n') ?? [])];
    this.log.error(lines.flatMap((line) => (line === undefined ? [] : [visible(line)])).join('\n'));
    const actions = [
      ...(ofTheModel.has(code)
        ? [{ title: vscode.l10n.t('Choose Model…'), command: contributedId('chooseModel') }]
        : []),
      ...(code === 'tokenizer'
        ? [{ title: vscode.l10n.t('Enter Token Ids…'), command: contributedId('analyzeIds') }]
        : []),
      { title: vscode.l10n.t('Show Log'), command: contributedId('showLog') },
    ];
    if (code === 'input') notify('warning', message);
    else notify('error', message, ...actions);
  }

  /** Something of the settings that was put right. */
  setting(message: string): void {
    this.log.warn(visible(message));
    const open = { title: vscode.l10n.t('Open Settings'), command: contributedId('openSettings') };
    notify('warning', message, open);
  }

  /** What was written, with a way to it. */
  saved(file: vscode.Uri): void {
    const message = vscode.l10n.t('Saved {0}.', vscode.workspace.asRelativePath(file));
    const reveal = { title: vscode.l10n.t('Reveal'), command: 'revealFileInOS', argument: file };
    notify('information', message, reveal);
  }
}
