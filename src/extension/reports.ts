import * as vscode from 'vscode';
import { type Help, helpFor } from '../analysis/help.js';
import type { Problem } from '../errors.js';
import { visible } from '../visible.js';
import { contributedId } from './names.js';
import { notify, revealing } from './surfaces.js';

const titles: Readonly<Record<Help, () => string>> = {
  chooseTokenizer: () => vscode.l10n.t('Choose tokenizer.json…'),
  chooseModel: () => vscode.l10n.t('Choose Model…'),
  analyzeIds: () => vscode.l10n.t('Enter Token Ids…'),
  showLog: () => vscode.l10n.t('Show Log'),
};

/** Tells the user, once and with what can be done; details go to the log. */
export class Reports {
  constructor(readonly log: vscode.LogOutputChannel) {}

  /** A run's failure, which the panel tells with all that can be done: only where that is not to be seen is it told again. */
  failed(problem: Problem, seen: boolean): void {
    if (seen) this.keep(problem);
    else this.problem(problem);
  }

  /** A failure in a notification; nothing for what the user cancelled. */
  problem(problem: Problem): void {
    if (problem.code === 'cancelled') return;
    this.keep(problem);
    const { code, message } = problem;
    const actions = helpFor(problem).map((name) => ({ title: titles[name](), command: contributedId(name) }));
    notify(code === 'input' ? 'warning' : 'error', message, ...actions);
  }

  /** What happened, with its details, in the log. */
  private keep({ code, message, file, detail }: Problem): void {
    // The detail is of several lines: a stack, what ONNX Runtime said.
    const lines = [`${code}: ${message}`, file, ...(detail?.split('\n') ?? [])];
    this.log.error(lines.flatMap((line) => (line === undefined ? [] : [visible(line)])).join('\n'));
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
    const command = revealing(file);
    notify('information', message, ...(command ? [{ title: vscode.l10n.t('Reveal'), command, argument: file }] : []));
  }
}
