import * as vscode from 'vscode';
import { toProblem } from '../errors.js';
import type { Reports } from './reports.js';

/** What a command does with what it is given; what it resolves with is for programs that call it. */
export type Action = (...args: never[]) => unknown;

/** Registers a command. Where its action throws, that is reported, and the command resolves with undefined. */
export function registerCommand(id: string, action: Action, reports: Reports): vscode.Disposable {
  return vscode.commands.registerCommand(id, async (...args: never[]) => {
    try {
      return await action(...args);
    } catch (error) {
      reports.problem(toProblem(error));
      return undefined;
    }
  });
}
