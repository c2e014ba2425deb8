import * as vscode from 'vscode';
import type { Analyses } from './analyses.js';
import { type ContextName, contributedId } from './names.js';
import { statusItem } from './surfaces.js';

/** While a run goes on: how far it is, in the status bar; a click stops it. Also keeps the keys that menus ask for. */
export function registerStatus(analyses: Analyses): vscode.Disposable {
  const item = statusItem('sinkscope.progress', {
    name: vscode.l10n.t('Sinkscope Progress'),
    tooltip: vscode.l10n.t('Stop the analysis'),
    command: contributedId('stop'),
  });
  const setContext = (key: ContextName, value: boolean) =>
    void vscode.commands.executeCommand('setContext', contributedId(key), value);

  let running: boolean | undefined;
  let result: boolean | undefined;
  const update = () => {
    if (running !== analyses.running) {
      running = analyses.running;
      setContext('running', running);
    }
    if (result !== (analyses.run !== undefined)) {
      result = analyses.run !== undefined;
      setContext('hasResult', result);
    }
    if (!running) return item.show(undefined);
    const { started, layers } = analyses.run?.analysis ?? {};
    item.show(
      started && layers?.length
        ? vscode.l10n.t('Sinkscope: layer {0}/{1}', layers.length - 1, started.model.layers)
        : vscode.l10n.t('Sinkscope: reading'),
    );
  };
  return vscode.Disposable.from(item, analyses.onDidChange(update));
}
