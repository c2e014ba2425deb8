/**
 * An experiment as a subcommand, made of its definition: its inputs are arguments and options, its progress is a bar,
 * and its result is printed in words or as JSON.
 */
import { type Argument, Command, Option } from 'commander';
import { defaultThresholds } from '../analysis/thresholds.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import {
  type Experiment,
  eachAs,
  type Outcome,
  outcomeOf,
  type Progress,
  progressInWords,
  type Setup,
} from '../experiments/experiment.js';
import { type ExperimentInput, type ExperimentInputs, isPrompt } from '../experiments/facts.js';
import { readDocument, readTexts } from '../experiments/shared/files.js';
import { type Corpus, defaultOf, type Given, isNeeded, type NamedText } from '../experiments/values.js';
import { modelFile } from '../models/named.js';
import type { ExperimentRun } from '../protocol.js';
import {
  adviseOnLength,
  type BudgetOptions,
  budgetOf,
  chatOptions,
  engineOptions,
  type HowRun,
  lineEndsOption,
  partOption,
  read,
  streamOption,
  takeHow,
  tokenizerOption,
  typedName,
} from './options.js';
import { printOutcome } from './print.js';
import { drawProgress } from './progress.js';
import { checkForm, checkSaves, saveOutcome } from './save.js';
import { type Sharing, saveReport, sharingOptions } from './sharing.js';

/** What every experiment has beside its inputs, or may have. */
interface Options extends HowRun, Sharing, Partial<BudgetOptions> {
  readonly window?: string;
  readonly save?: string;
  readonly json?: boolean;
}

export function experimentCommand(experiment: Experiment, engine: Engine, signal: AbortSignal): Command {
  const { id, help, inputs, saves } = experiment;
  const command = new Command(id).description(help);
  for (const [name, input] of Object.entries(inputs)) {
    if (isArgument(input)) command.argument(input.flag, input.help);
    else for (const option of optionsOf(inputs, name, input)) command.addOption(option);
  }
  for (const option of runOptions(inputs)) command.addOption(option);
  if (saves !== undefined) command.option('--save <path>', saves);
  command.option('--json', 'print the result as JSON');
  for (const option of sharingOptions()) command.addOption(option);
  return command.action(async () => {
    const options = command.opts<Options>();
    if (saves !== undefined) checkForm(options.save, experiment);
    if (!savesFolder(inputs)) await checkSaves(options.save);
    await checkSaves(options.report);
    takeHow(engine, options);
    const given = await givenBy(command, inputs, engine);
    let partial: Outcome | undefined;
    const steps = eachAs(experiment.run(setupOf(engine, options, inputs), given, signal), (step) => {
      const { presentation, json, file } = step;
      if (presentation && json) partial = stoppedAt({ presentation, json, file }, step);
      return step;
    });
    const run = drawProgress(steps).catch((error: unknown) => {
      // What there was by then is printed; the exit code and the last line say that it is not all.
      if (signal.aborted && partial) printOutcome(options, partial);
      throw error;
    });
    const outcome = await (hasPrompt(inputs) ? adviseOnLength(run) : run);
    try {
      // An experiment may have a file of its own, which its engine writes.
      if (saves !== undefined) await saveOutcome(options.save, outcome);
      await saveReport(options.report, { experiments: [shownRun(experiment, outcome)] }, outcome.presentation);
    } finally {
      printOutcome(options, outcome);
    }
  });
}

/** A run as the panel has one. */
const shownRun = ({ id, title }: Experiment, { presentation }: Outcome): ExperimentRun => ({
  number: 1,
  experiment: id,
  title,
  status: 'finished',
  presentation,
});

/** What a run that was stopped had found, said to be that. */
function stoppedAt({ presentation, json, file }: Outcome, progress: Progress): Outcome {
  const warning = `Stopped at ${progressInWords(progress)}: these are the figures by then.`;
  return outcomeOf({ ...presentation, warnings: [...presentation.warnings, warning] }, json, file);
}

const isArgument = ({ flag }: ExperimentInput) => flag.startsWith('<');

const hasPrompt = (inputs: ExperimentInputs) =>
  Object.values(inputs).some((input) => input.kind === 'text' && input.prompt);

const isRun = (inputs: ExperimentInputs) => Object.values(inputs).some(isPrompt);

const hasKind = (inputs: ExperimentInputs, ...kinds: readonly ExperimentInput['kind'][]) =>
  Object.values(inputs).some(({ kind }) => kinds.includes(kind));

const savesFolder = (inputs: ExperimentInputs) =>
  Object.values(inputs).some((input) => input.kind === 'words' && input.writes === 'folder');

/** Options of the run itself, where they mean something. */
function runOptions(inputs: ExperimentInputs): Option[] {
  const bos = [
    new Option('--bos', "begin every sequence with the prefix token (default: as the tokenizer's files say)"),
    new Option('--no-bos', "leave out the model's prefix token (BOS or sink token)"),
  ];
  return [
    ...(hasKind(inputs, 'text', 'texts') || isRun(inputs) ? [...bos, lineEndsOption()] : []),
    ...(isRun(inputs) ? chatOptions() : []),
    ...(hasPrompt(inputs) ? [partOption()] : []),
    ...(hasKind(inputs, 'model', 'models') ? [streamOption(), tokenizerOption(), ...engineOptions()] : []),
  ];
}

function setupOf(engine: Engine, { bos, window, memory = 0, threads = 0 }: Options, inputs: ExperimentInputs): Setup {
  const part = hasPrompt(inputs) && (window === 'first' || window === 'last') ? window : undefined;
  return { engine, bos, part, thresholds: defaultThresholds, ...budgetOf({ memory, threads }) };
}

/** The options of an input; of several one is to be given. */
function optionsOf(inputs: ExperimentInputs, name: string, input: ExperimentInput): Option[] {
  const option = optionOf(inputs, input);
  const other = otherOption(input);
  if (!other) return [isNeeded(inputs, name, {}) ? option.makeOptionMandatory() : option];
  return input.kind === 'texts' ? [other, option] : [other.conflicts(option.attributeName()), option];
}

const oneOf = new Intl.ListFormat('en', { type: 'disjunction' });

function optionOf(inputs: ExperimentInputs, input: ExperimentInput): Option {
  const { flag, neededFor } = input;
  const decides = neededFor && inputs[neededFor.input]?.flag.split(' ')[0];
  const help = neededFor ? `with ${decides} ${oneOf.format(neededFor.is)}: ${input.help}` : input.help;
  const open = 'open' in input && input.open !== undefined && !input.neededFor ? ` (default: ${input.open})` : '';
  const option = new Option(flag, `${help}${open}`);
  switch (input.kind) {
    case 'texts':
      return option.argParser(collect);
    case 'pair':
      // As two words, or as the panel takes them.
      return option.argParser((value: string, before: readonly string[] = []) => [
        ...before,
        ...(/^[^,]+,[^,]+$/.test(value) ? value.split(',') : [value]),
      ]);
    case 'choice':
      return option.choices(input.choices).default(input.choices[0]);
    case 'whole':
    case 'number':
    case 'indices':
    case 'words':
      return option.argParser(read(input)).default(defaultOf(input));
    default:
      return option;
  }
}

function otherOption(input: ExperimentInput): Option | undefined {
  if (input.kind === 'text' && input.prompt) return new Option('--text <text>', 'the text itself');
  if (input.kind === 'texts' && input.typed)
    return new Option('--text <text>', 'a text itself; may be repeated').argParser(collect);
  return input.kind === 'files' && input.also ? new Option(input.also.flag, input.also.help) : undefined;
}

const collect = (value: string, before: readonly string[] = []) => [...before, value];

/** What a person has given, by name of the input; files of texts are read. */
async function givenBy(command: Command, inputs: ExperimentInputs, engine: Engine): Promise<Given> {
  const given: Record<string, unknown> = {};
  const values: readonly unknown[] = command.processedArgs;
  const args = new Map(command.registeredArguments.map((argument: Argument, i) => [argument.name(), values[i]]));
  const givenFor = (input: ExperimentInput) =>
    isArgument(input) ? args.get(nameOf(input.flag)) : command.getOptionValue(new Option(input.flag).attributeName());
  for (const [name, input] of Object.entries(inputs)) {
    const other = otherOption(input);
    const value = givenFor(input);
    const otherwise = other && command.getOptionValue(other.attributeName());
    if (other && value === undefined && otherwise === undefined && isNeeded(inputs, name, {}))
      throw missing(input, other);
    given[name] = await valueFrom(input, value, otherwise, engine);
  }
  return given;
}

/** `models` of `<models...>`. */
const nameOf = (argument: string) => argument.replace(/^<|(\.\.\.)?>$/g, '');

/**
 * The value of an input.
 *
 * @param value of its option or argument, as it was read
 * @param otherwise of its other option
 */
async function valueFrom(input: ExperimentInput, value: unknown, otherwise: unknown, engine: Engine): Promise<unknown> {
  switch (input.kind) {
    case 'text':
      if (typeof otherwise === 'string') return { name: typedName(otherwise), text: otherwise };
      return typeof value === 'string' ? fileAt(value, engine) : undefined;
    case 'texts':
      return corpusOf(wordsIn(otherwise), wordsIn(value), engine);
    case 'files':
      return wordsIn(value ?? otherwise);
    case 'model':
      return typeof value === 'string' ? modelFile(value) : undefined;
    case 'models':
      return Promise.all(wordsIn(value).map(modelFile));
    default:
      return value;
  }
}

const wordsIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

const fileAt = async (file: string, engine: Engine): Promise<NamedText> => {
  return { name: file, file, text: await readDocument(file, engine) };
};

/** Texts that were typed, and those of files under their paths as they were given. */
function corpusOf(typed: readonly string[], paths: readonly string[], engine: Engine): Corpus {
  const own = typed.map((text, i): NamedText => ({ name: `text ${i + 1}`, text }));
  async function* texts() {
    yield* own;
    for await (const text of readTexts(paths, engine)) yield { ...text, name: text.file ?? text.name };
  }
  return { name: [...own.map(({ name }) => name), ...paths].join(', '), texts: texts() };
}

function missing(input: ExperimentInput, other: Option): SinkscopeError {
  const what = input.kind === 'files' ? input.one : 'text';
  const own = new Option(input.flag);
  const options = input.kind === 'files' ? [own, other] : [other, own];
  return new SinkscopeError({
    code: 'input',
    message: `There is no ${what}: give ${options.map(({ long }) => long).join(' or ')}.`,
  });
}
