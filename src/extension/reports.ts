import * as vscode from 'vscode';
import type { Problem, ProblemCode } from '../errors.js';
import { contributedId } from './names.js';

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
    this.log.error([`${code}: ${message}`, file, detail].filter((line) => line !== undefined).join('\n'));
    const actions = [
      ...(ofTheModel.has(code)
        ? [{ title: vscode.l10n.t('Choose Model…'), command: contributedId('chooseModel') }]
        : []),
      ...(code === 'tokenizer'
        ? [{ title: vscode.l10n.t('Enter Token Ids…'), command: contributedId('analyzeIds') }]
        : []),
      { title: vscode.l10n.t('Show Log'), command: contributedId('showLog') },
    ];
    if (code === 'input') void vscode.window.showWarningMessage(message);
    else void vscode.window.showErrorMessage(message, ...actions).then(follow);
  }

  /** Something of the settings that was put right. */
  setting(message: string): void {
    this.log.warn(message);
    const open = { title: vscode.l10n.t('Open Settings'), command: contributedId('openSettings') };
    void vscode.window.showWarningMessage(message, open).then(follow);
  }

  /** What was written, with a way to it. */
  saved(file: vscode.Uri): void {
    const message = vscode.l10n.t('Saved {0}.', vscode.workspace.asRelativePath(file));
    const reveal = { title: vscode.l10n.t('Reveal'), command: 'revealFileInOS', argument: file };
    void vscode.window.showInformationMessage(message, reveal).then(follow);
  }
}

/** Does what was picked in a notification. Nothing waits for a notification: it may stay for as long as it likes. */
async function follow(picked: { command: string; argument?: unknown } | undefined): Promise<void> {
  if (picked) await vscode.commands.executeCommand(picked.command, picked.argument);
}
