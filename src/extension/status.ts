import * as vscode from 'vscode';
import { formatNumber } from '../analysis/format.js';
import { massiveActivations } from '../analysis/massive.js';
import { sinks, tellsOfSink } from '../analysis/sinks.js';
import type { Analyses, ShownRun } from './analyses.js';
import type { Surprisal } from './askedOfRun.js';
import type { SettingsWatch } from './configuration.js';
import { showLatest } from './latest.js';
import { perplexityIn } from './marks.js';
import type { Models } from './models.js';
import { type ContextName, contributedId } from './names.js';
import { chosenSource } from './source.js';
import { type Status, statusItem } from './surfaces.js';

interface Parts {
  readonly analyses: Analyses;
  readonly models: Models;
  readonly settings: SettingsWatch;
  readonly surprisal: Surprisal;
}

/**
 * In the status bar: while a run goes on, how far it is, and a click stops it; else what is run next and what was found
 * last, and a click chooses. Also keeps the keys that menus ask for.
 */
export function registerStatus({ analyses, models, settings, surprisal }: Parts): vscode.Disposable {
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
    const { run: last } = analyses;
    // Of a picture that is shown, the model for pictures, as in the panel.
    const model = await (last ? models.chosenFor(last.request.prompt) : models.chosen()).catch(() => undefined);
    if (!model) return undefined;
    const { bos, chat, thresholds } = settings.current;
    // Numbers that another model made do not belong beside this one's name; a run that came to none found no zero.
    const isThis = last?.request.model === model.file && last.analysis.layers.length > 0;
    const run = isThis ? last : undefined;
    const massive = run ? massiveActivations(run.analysis, thresholds).filter(({ kind }) => kind === 'massive') : [];
    // A run that is too short for sinks, or has no patterns, found no zero either.
    const isTold = run !== undefined && tellsOfSink(run.analysis, thresholds);
    const anchors = isTold ? `${sinks(run.analysis, thresholds).sinks.length}` : '–';
    const found = run ? [`▲${massive.length} ⚓\uFE0E${anchors}`, ...perplexity(run)] : [];
    return {
      icon: 'pulse',
      text: [
        model.name,
        vscode.l10n.t('BOS {0}', bos),
        ...(chat === 'on' ? [vscode.l10n.t('chat')] : []),
        ...found,
      ].join(' · '),
      tooltip: run
        ? vscode.l10n.t(
            'Sinkscope: massive activations in the last run: {0}, attention sinks: {1}. Click to choose the model.',
            massive.length,
            anchors,
          )
        : vscode.l10n.t('Sinkscope: what texts are analyzed with. Click to choose the model.'),
      command: contributedId('chooseModel'),
    };
  };

  /** Where tokens are tinted by their surprisal: of what is selected in the editor, or else of all. */
  const perplexity = ({ ranges }: ShownRun): string[] => {
    const nats = surprisal.found;
    const editor = vscode.window.activeTextEditor;
    const selects = editor && !editor.selection.isEmpty && analyses.shows(editor.document.uri);
    const range = selects ? chosenSource(editor).range : { start: 0, end: 0 };
    const value = nats && perplexityIn(nats, ranges, range);
    if (value === undefined) return [];
    return [
      selects
        ? vscode.l10n.t('perplexity of the selection {0}', formatNumber(value))
        : vscode.l10n.t('perplexity {0}', formatNumber(value)),
    ];
  };

  const showIdle = showLatest(idle, (status) => {
    // A run may have begun meanwhile.
    if (!analyses.running) item.show(status);
  });

  let running: boolean | undefined;
  let result: boolean | undefined;
  let marked: boolean | undefined;
  const update = async () => {
    if (running !== analyses.running) {
      running = analyses.running;
      setContext('running', running);
    }
    const { activeTextEditor } = vscode.window;
    const here = activeTextEditor !== undefined && analyses.shows(activeTextEditor.document.uri);
    if (marked !== here) {
      marked = here;
      setContext('marked', marked);
    }
    if (result !== (analyses.run !== undefined)) {
      result = analyses.run !== undefined;
      setContext('hasResult', result);
    }
    if (running) return item.show(progress());
    await showIdle();
  };
  void update();
  return vscode.Disposable.from(
    item,
    analyses.onDidChange(({ type }) => void (type === 'ranges' || type === 'selection' || update())),
    models.onDidChange(() => void update()),
    settings.onDidChange(() => void update()),
    vscode.window.onDidChangeActiveTextEditor(() => void update()),
    surprisal.onDidChange(() => void update()),
    vscode.window.onDidChangeTextEditorSelection(() => {
      if (surprisal.found) void update();
    }),
  );
}
