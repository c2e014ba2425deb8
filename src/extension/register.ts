import * as vscode from 'vscode';
import { toProblem } from '../errors.js';
import type { Reports } from './reports.js';

/** What a command does with what it is given; what it resolves with is given to programs that call it. */
export type Action = (...args: never[]) => unknown;

/** Registers each as `sinkscope.<name>`. One that throws is reported, and its command resolves with undefined. */
export function registerActions(actions: Readonly<Record<string, Action>>, reports: Reports): vscode.Disposable {
  return vscode.Disposable.from(
    ...Object.entries(actions).map(([name, action]) =>
      vscode.commands.registerCommand(`sinkscope.${name}`, async (...args: never[]) => {
        try {
          return await action(...args);
        } catch (error) {
          reports.problem(toProblem(error));
          return undefined;
        }
      }),
    ),
  );
}
