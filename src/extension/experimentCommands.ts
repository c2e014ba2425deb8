/** The experiments as commands: from the palette they ask for what has no default, from the panel for nothing. */
import { posix } from 'node:path';
import * as vscode from 'vscode';
import { csvOf } from '../analysis/presentation.js';
import { SinkscopeError, toProblem } from '../errors.js';
import type { Experiment } from '../experiments/before/experiment.js';
import type { Input } from '../experiments/before/facts.js';
import { experiments as catalogue } from '../experiments/catalogue.js';
import type { ExperimentAction, ExperimentRun } from '../protocol.js';
import type { Analyses } from './analyses.js';
import { type Experiments, experimentOf } from './experiments.js';
import { exportText } from './export.js';
import type { Models } from './models.js';
import { idOf } from './names.js';
import type { Panel } from './panel.js';
import type { Reports } from './reports.js';
import type { Texts } from './texts.js';

export interface ExperimentParts {
  readonly analyses: Analyses;
  readonly experiments: Experiments;
  readonly texts: Texts;
  readonly models: Models;
  readonly panel: Panel;
  readonly reports: Reports;
}

type Given = Readonly<Record<string, unknown>>;

export function registerExperiments(parts: ExperimentParts): vscode.Disposable {
  const { analyses, experiments, texts, models, panel, reports } = parts;

  const start = (experiment: Experiment, given: Given): Promise<ExperimentRun> => {
    const read = async () => ({ ...given, ...(await texts.read(experiment.inputs, given)) });
    const run = experiments.run(experiment, read);
    // Then, so that a new panel begins with the page that has it.
    panel.show();
    return run;
  };

  /** What the palette's user is asked for: texts and models that have no default. Undefined: dismissed. */
  const asked = async ({ inputs }: Experiment, given: Given): Promise<Given | undefined> => {
    const answers: Record<string, unknown> = {};
    for (const [name, input] of Object.entries(inputs)) {
      if (given[name] !== undefined) continue;
      // A mean needs the calibration text that other settings do without.
      const wanted = input.kind === 'text' && (!input.optional || given.set === 'mean');
      const file = input.kind === 'files' || input.kind === 'texts' || wanted;
      if (file && !texts.has(name)) {
        if (!(await texts.choose(name, input))) return undefined;
      } else if (input.kind === 'model' || input.kind === 'models') {
        const picked = await chooseModels(models, input);
        if (!picked) return undefined;
        answers[name] = picked;
      }
    }
    return { ...answers, ...given };
  };

  const command =
    (id: string) =>
    async (given: Given = {}) => {
      const experiment = experimentOf(id);
      if (!experiment) throw new Error(`there is no experiment ${id}`);
      const values = await asked(experiment, given);
      return values && start(experiment, values);
    };

  /** Shown in the panel, where the experiment was started. */
  const runOf = (number: number) => {
    const run = experiments.runs.find((one) => one.number === number);
    if (run?.presentation) return { run, presentation: run.presentation };
    throw new SinkscopeError({ code: 'input', message: vscode.l10n.t('This experiment has no result to export.') });
  };

  const actions: Readonly<Record<string, (...args: never[]) => unknown>> = {
    perplexity: command('perplexity'),
    interventions: command('interventions'),
    survey: command('survey'),
    merge: command('merge'),
    bias: command('bias'),
    compare: command('compare'),
    weights: command('weights'),
    outliers: command('outliers'),
    compareQuantised: command('compare-quantised'),
    lens: command('lens'),
    streaming: command('streaming'),
    vision: command('vision'),
    ratios: command('ratios'),
    /** Of an entry (hover), or of what the user picks. */
    async intervene(given?: Given) {
      const { source } = analyses.run ?? {};
      const text = source && { name: posix.basename(source.uri.path), text: source.text };
      const set = given?.set === undefined ? await chooseSetting() : {};
      return set && command('intervene')({ text, ...set, ...given });
    },
    stopExperiment: () => experiments.stop(),
    async experimentAction(action: ExperimentAction) {
      switch (action.do) {
        case 'run': {
          const experiment = experimentOf(action.experiment);
          if (experiment) await start(experiment, action.values);
          return;
        }
        case 'stop':
          return experiments.stop();
        case 'close':
          return experiments.close(action.run);
        case 'choose-text': {
          const input = catalogue.map(({ inputs }) => inputs[action.input]).find((one) => one !== undefined);
          if (input) await texts.choose(action.input, input);
          return;
        }
        case 'save-json': {
          const { run, presentation } = runOf(action.run);
          const json = JSON.stringify({ experiment: run.experiment, ...presentation }, undefined, 2);
          return saved(await exportText(`${run.experiment}.sinkscope`, 'json', `${json}\n`));
        }
        case 'save-csv': {
          const { run, presentation } = runOf(action.run);
          const part = presentation.parts[action.part];
          return part && saved(await exportText(`${run.experiment}-${action.part + 1}`, 'csv', csvOf(part)));
        }
      }
    },
  };
  const saved = (file: vscode.Uri | undefined) => file && reports.saved(file);

  return vscode.Disposable.from(
    registerProgress(experiments),
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

/** What activations are set to, with the number that it takes. */
async function chooseSetting(): Promise<Given | undefined> {
  const items = [
    { label: vscode.l10n.t('Set to zero'), set: 'zero' },
    { label: vscode.l10n.t('Set to mean'), description: vscode.l10n.t('over a calibration text'), set: 'mean' },
    { label: vscode.l10n.t('Set to a value…'), set: 'value' },
    { label: vscode.l10n.t('Scale…'), set: 'scale' },
    { label: vscode.l10n.t('Add noise…'), description: vscode.l10n.t('of a standard deviation'), set: 'noise' },
  ];
  const title = vscode.l10n.t('What to do with the massive activations');
  const picked = await vscode.window.showQuickPick(items, { title });
  if (!picked) return undefined;
  const { set, label } = picked;
  if (set === 'zero' || set === 'mean') return { set };
  const typed = await vscode.window.showInputBox({
    title: label,
    validateInput: (value) =>
      value.trim() !== '' && Number.isFinite(Number(value)) ? undefined : vscode.l10n.t('It is a number, e.g. 0.5.'),
  });
  return typed === undefined ? undefined : { set, amount: Number(typed) };
}

/** One model, or several. */
async function chooseModels(
  models: Models,
  { kind, label: title }: Extract<Input, { kind: 'model' | 'models' }>,
): Promise<string | readonly string[] | undefined> {
  const items = (await models.list()).map(({ name, file, origin }) => {
    return { label: name, description: file, file, picked: origin === 'bundled' };
  });
  if (kind === 'model') return (await vscode.window.showQuickPick(items, { title }))?.file;
  const picked = await vscode.window.showQuickPick(items, { title, canPickMany: true });
  return picked?.map(({ file }) => file);
}

/** While an experiment runs: how far it is, in the status bar; a click stops it. */
function registerProgress(experiments: Experiments): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('sinkscope.experiment', vscode.StatusBarAlignment.Left);
  item.name = vscode.l10n.t('Sinkscope Experiment');
  item.command = idOf('stopExperiment');
  item.tooltip = vscode.l10n.t('Stop the experiment');
  const update = () => {
    void vscode.commands.executeCommand('setContext', idOf('experimenting'), experiments.running);
    const run = experiments.runs.find(({ status }) => status === 'running');
    if (!run) return item.hide();
    item.text = `$(loading~spin) ${run.title}${run.progress ? `: ${run.progress.text}` : ''}`;
    item.show();
  };
  return vscode.Disposable.from(item, experiments.onDidChange(update));
}
