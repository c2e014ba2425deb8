import * as vscode from 'vscode';
import { massiveActivations } from '../analysis/massive.js';
import { sinks } from '../analysis/sinks.js';
import type { Analyses } from './analyses.js';
import type { SettingsWatch } from './configuration.js';
import type { Models } from './models.js';
import { type ContextName, contributedId } from './names.js';
import { type Status, statusItem } from './surfaces.js';

interface Parts {
  readonly analyses: Analyses;
  readonly models: Models;
  readonly settings: SettingsWatch;
}

/**
 * In the status bar: while a run goes on, how far it is, and a click stops it; else what is run next and what was found
 * last, and a click chooses. Also keeps the keys that menus ask for.
 */
export function registerStatus({ analyses, models, settings }: Parts): vscode.Disposable {
  const item = statusItem('sinkscope.progress', vscode.l10n.t('Sinkscope'));
  const setContext = (key: ContextName, value: boolean) =>
    void vscode.commands.executeCommand('setContext', contributedId(key), value);

  const progress = (): Status => {
    const { started, layers } = analyses.run?.analysis ?? {};
    const text =
      started && layers?.length
        ? vscode.l10n.t('Sinkscope: layer {0}/{1}', layers.length - 1, started.model.layers)
        : vscode.l10n.t('Sinkscope: reading');
    return { icon: 'loading~spin', text, tooltip: vscode.l10n.t('Stop the analysis'), command: contributedId('stop') };
  };
  const idle = async (): Promise<Status | undefined> => {
    const model = await models.chosen().catch(() => undefined);
    if (!model) return undefined;
    const { bos, thresholds } = settings.current;
    const { run } = analyses;
    const massive = run ? massiveActivations(run.analysis, thresholds).filter(({ kind }) => kind === 'massive') : [];
    const anchors = run ? sinks(run.analysis, thresholds).sinks : [];
    const found = run ? [`▲${massive.length} ⚓\uFE0E${anchors.length}`] : [];
    return {
      icon: 'pulse',
      text: [model.name, vscode.l10n.t('BOS {0}', bos), ...found].join(' · '),
      tooltip: run
        ? vscode.l10n.t(
            'Sinkscope: {0} massive activations and {1} attention sinks in the last run. Click to choose the model.',
            massive.length,
            anchors.length,
          )
        : vscode.l10n.t('Sinkscope: what texts are analyzed with. Click to choose the model.'),
      command: contributedId('chooseModel'),
    };
  };

  let running: boolean | undefined;
  let result: boolean | undefined;
  const update = async () => {
    if (running !== analyses.running) {
      running = analyses.running;
      setContext('running', running);
    }
    if (result !== (analyses.run !== undefined)) {
      result = analyses.run !== undefined;
      setContext('hasResult', result);
    }
    if (running) return item.show(progress());
    const status = await idle();
    // A run may have begun meanwhile.
    if (!analyses.running) item.show(status);
  };
  void update();
  return vscode.Disposable.from(
    item,
    analyses.onDidChange(({ type }) => void (type === 'ranges' || type === 'selection' || update())),
    models.onDidChange(() => void update()),
    settings.onDidChange(() => void update()),
  );
}
