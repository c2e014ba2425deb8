/** The experiments as commands: from the palette they ask for what has no default, from the panel for nothing. */
import * as vscode from 'vscode';
import { SinkscopeError } from '../errors.js';
import { experiments as catalogue } from '../experiments/catalogue.js';
import { compare } from '../experiments/compare/index.js';
import { quantised } from '../experiments/compare-quantised/index.js';
import type { Experiment } from '../experiments/experiment.js';
import { commandOf, type ExperimentInputs } from '../experiments/facts.js';
import type { RecordReader } from '../experiments/shared/records.js';
import { survey } from '../experiments/survey/index.js';
import { type Given, isAskedFor, isNeeded } from '../experiments/values.js';
import type { ExperimentAction, ExperimentRun } from '../protocol.js';
import { jsonOf } from '../visible.js';
import { chooseOne, enterValue, pickModels } from './choices.js';
import { openDocumentation } from './documentation.js';
import { type Experiments, experimentOf } from './experiments.js';
import { exportBytes } from './export.js';
import type { Models } from './models.js';
import { givenModel, type ModelGiven } from './modelsView.js';
import { contributedId, type ExperimentCommand, experimentCommands } from './names.js';
import type { Panel } from './panel.js';
import { type Action, registerCommand } from './register.js';
import type { Reports } from './reports.js';
import { statusItem } from './surfaces.js';
import { type FileInput, isOfFiles, type Texts } from './texts.js';

export interface ExperimentParts {
  /** The folder of the extension. */
  readonly extension: vscode.Uri;
  readonly experiments: Experiments;
  readonly texts: Texts;
  readonly models: Models;
  readonly panel: Panel;
  readonly reports: Reports;
}

/** Registers a command for each experiment, and those of the panel's page. */
export function registerExperiments(parts: ExperimentParts): vscode.Disposable {
  const { extension, experiments, texts, models, panel, reports } = parts;

  const start = async (experiment: Experiment, given: Given): Promise<ExperimentRun> => {
    const read = async (engine: RecordReader) => ({
      ...given,
      ...(await texts.read(experiment.inputs, given, engine)),
    });
    const run = experiments.run(experiment, read);
    // Then, so that a new panel begins with the page that has it.
    await panel.show();
    return run;
  };

  /** What is given and what the palette's user is asked for besides: all that has no default. Undefined: dismissed. */
  const ask = async ({ inputs }: Experiment, given: Given): Promise<Given | undefined> => {
    let answers = given;
    for (const [name, input] of Object.entries(inputs)) {
      if (answers[name] !== undefined) continue;
      let answer: unknown;
      if (isOfFiles(input)) {
        // What is chosen is read when the experiment begins; what is meant where nothing is may not be open.
        if (!isWanted(name, input, inputs, answers) || texts.has(name, input) || (await texts.choose(name, input)))
          continue;
      } else {
        if (!isAskedFor(inputs, name, answers)) continue;
        if (input.kind === 'model' || input.kind === 'models') answer = await pickModels(await models.list(), input);
        else answer = await (input.kind === 'choice' ? chooseOne(input) : enterValue(input));
      }
      if (answer === undefined) return undefined;
      answers = { ...answers, [name]: answer };
    }
    return answers;
  };

  /** A command is about what was analysed where its experiment is, whatever file was chosen for the form. */
  const analysed = ({ inputs }: Experiment): Given => {
    const ofRun = Object.entries(inputs).filter(([, one]) => one.kind === 'text' && one.document === 'analysed');
    return Object.fromEntries(ofRun.map(([name]) => [name, texts.analysed]));
  };

  const command = (experiment: Experiment) => {
    return async (given: Given = {}) => {
      const values = await ask(experiment, { ...analysed(experiment), ...given });
      return values && start(experiment, values);
    };
  };

  /** Shown in the panel, where the experiment was started. */
  const resultOf = (number: number) => {
    const run = experiments.runs.find((one) => one.number === number);
    if (run?.presentation && run.json) return { ...run, presentation: run.presentation, json: run.json };
    throw new SinkscopeError({ code: 'input', message: vscode.l10n.t('This experiment has no result to export.') });
  };
  const saved = (file: vscode.Uri | undefined) => file && reports.saved(file);

  const actions: Readonly<Record<ExperimentCommand, Action>> = {
    stopExperiment: () => experiments.stop(),
    /** A file that was made from the chosen model. */
    compareModel: (given: ModelGiven) => command(quantised)({ quantised: givenModel(given) }),
    surveyFolder: (folder: vscode.Uri) => command(survey)({ texts: folder }),
    /** Menus give the file, and all that are selected. */
    async compareTexts(file: vscode.Uri, all: readonly vscode.Uri[] = [file]) {
      // It is about texts: in the model that all else is run with.
      const model = await models.chosen();
      return command(compare)({ texts: all, models: [model.file] });
    },
    async experimentAction(action: ExperimentAction) {
      switch (action.do) {
        case 'run': {
          const experiment = experimentOf(action.experiment);
          if (experiment) await start(experiment, action.values);
          return;
        }
        case 'stop':
          return experiments.stop();
        case 'read':
          return openDocumentation(extension, experimentOf(action.experiment)?.id);
        case 'close':
          return experiments.close(action.run);
        case 'choose-text': {
          const input = experimentOf(action.experiment)?.inputs[action.input];
          if (input && isOfFiles(input)) await texts.choose(action.input, input);
          return;
        }
        case 'save-json': {
          const { experiment, json } = resultOf(action.run);
          return saved(await exportBytes(`${experiment}.sinkscope`, 'json', Buffer.from(`${jsonOf(json, 2)}\n`)));
        }
        case 'save-file': {
          const { experiment, file } = resultOf(action.run);
          return file && saved(await exportBytes(experiment, 'json', Buffer.from(`${jsonOf(file, 2)}\n`)));
        }
      }
    },
  };

  return vscode.Disposable.from(
    registerProgress(experiments),
    ...catalogue.map((experiment) => registerCommand(commandOf(experiment), command(experiment), reports)),
    ...experimentCommands.map((name) => registerCommand(contributedId(name), actions[name], reports)),
  );
}

/**
 * Whether the palette sees to it that there is something for an input. A text that others can take the place of is
 * wanted where nothing is given, for the palette asks for none of those.
 */
function isWanted(name: string, input: FileInput, inputs: ExperimentInputs, answers: Given): boolean {
  if (isNeeded(inputs, name, answers)) return true;
  return input.kind === 'text' && input.document === 'open' && Object.values(answers).every((one) => one === undefined);
}

/** While an experiment runs: how far it is, in the status bar; a click stops it. */
function registerProgress(experiments: Experiments): vscode.Disposable {
  const item = statusItem('sinkscope.experiment', vscode.l10n.t('Sinkscope Experiment'));
  const update = () => {
    void vscode.commands.executeCommand('setContext', contributedId('experimenting'), experiments.running);
    const run = experiments.runs.find(({ status }) => status === 'running');
    item.show(
      run && {
        icon: 'loading~spin',
        text: `${run.title}${run.progress ? `: ${run.progress.text}` : ''}`,
        tooltip: vscode.l10n.t('Stop the experiment'),
        command: contributedId('stopExperiment'),
      },
    );
  };
  return vscode.Disposable.from(item, experiments.onDidChange(update));
}
