/**
 * The contract of experiments. One is a folder: `compute.ts` runs it, `present.ts` says what it shows, and `index.ts`
 * defines it; its line in `catalogue.ts` makes it a subcommand, a command, and an entry of the panel.
 */

import { formatNumber } from '../analysis/format.js';
import { baseName } from '../analysis/label.js';
import { type Presentation, presented, type Setting } from '../analysis/presentation.js';
import type { Thresholds } from '../analysis/thresholds.js';
import { chatSaid } from '../engine/contract/request.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { type ExperimentFacts, type ExperimentInputs, isPrompt } from './facts.js';
import { checkedValues, type Given, type InputValues, isNamedText } from './values.js';

/** What may be used. */
export interface Budget {
  /** Bytes that the engine may hold beside the block it runs. */
  readonly memory: number;
  /** 0: as ONNX Runtime chooses. */
  readonly threads: number;
}

/** What is chosen for all experiments alike. */
export interface Setup extends Budget {
  readonly engine: Engine;
  /** Whether a prefix token is put before texts; undefined: as the model has it. */
  readonly bos: boolean | undefined;
  /** Which part is run of a prompt that is too long; undefined: none, it is refused. */
  readonly part: 'first' | 'last' | undefined;
  readonly thresholds: Thresholds;
}

/** How far something is. */
export interface Progress {
  /** What is being done, as in `measuring`. */
  readonly phase: string;
  readonly done: number;
  readonly of: number;
  /** Of those that are not done but under way, how much is, as if it were done: for bars, not for words. */
  readonly underWay?: number;
  /** What is known by now, in a few words. */
  readonly note?: string;
}

/** Yields how far it is, and what there is of the result where that is worth a look; returns the result. */
export type Run<Result> = AsyncGenerator<Progress & { readonly partial?: Result }, Result, void>;

export interface Definition<I extends ExperimentInputs, Result> extends ExperimentFacts {
  readonly inputs: I;
  /** @throws SinkscopeError where values or model do not fit; `cancelled` when `signal` is aborted */
  run(setup: Setup, values: InputValues<I>, signal: AbortSignal): Run<Result>;
  /** What is shown of a result; pure. */
  present(result: Result, values: InputValues<I>): Presentation;
  /** The result for programs, its one JSON form; pure. Keys are public, see docs/json.md. */
  json(result: Result, values: InputValues<I>): object;
  /** What {@link ExperimentFacts.saves} speaks of, as JSON; pure. */
  file?(result: Result, values: InputValues<I>): object;
  /** The same as rows, for a `.parquet` file; pure. */
  rows?(result: Result, values: InputValues<I>): SavedTable;
}

/** How far it is, and what it would end with by now, where that is worth a look. */
export type ExperimentStep = Progress & Partial<Outcome>;

/** A table to be saved. */
export interface SavedTable {
  /** What its figures depend on; goes into the file's own metadata. */
  readonly about: object;
  /** Of the same length. */
  readonly columns: readonly SavedColumn[];
}

export type SavedColumn =
  | { readonly name: string; readonly type: 'INT32' | 'DOUBLE'; readonly data: readonly number[] }
  | { readonly name: string; readonly type: 'BOOLEAN'; readonly data: readonly boolean[] }
  | { readonly name: string; readonly type: 'STRING'; readonly data: readonly string[] };

/** What an experiment ends with. */
export interface Outcome {
  readonly presentation: Presentation;
  /** What `--json` prints and the panel saves: the definition's, with `warnings` and the sentence as `conclusion`. */
  readonly json: object;
  /** What `--save` writes. */
  readonly file?: object;
  /** What it writes to a `.parquet` file. */
  readonly rows?: SavedTable;
}

/** A definition without its types: what surfaces and catalogue know. */
export interface Experiment extends ExperimentFacts {
  /**
   * @param given a value for each input, by name; those left out have their default
   * @throws SinkscopeError `input` for a value that does not fit, and what the experiment throws
   */
  run(setup: Setup, given: Given, signal: AbortSignal): AsyncGenerator<ExperimentStep, Outcome, void>;
}

/** What is said where a chat is asked for and no text is given. */
export const chatIsOfTexts =
  '--chat is about texts: token ids and feeds are run as they are, so write the turns in them.';

export function define<const I extends ExperimentInputs, Result>(definition: Definition<I, Result>): Experiment {
  const { run, present, json, file, rows, ...facts } = definition;
  return {
    ...facts,
    ...(rows && { hasRows: true }),
    async *run(setup, given, signal) {
      const values = checkedValues(facts.inputs, given);
      checkTurn(setup.engine, facts.inputs, values);
      const ending = (result: Result, warnings: readonly string[] = []) => {
        const shown = present(result, values);
        const { lineEnds } = setup.engine;
        const chat = chatSaid(setup.engine.chat);
        const isTurn = Object.values(facts.inputs).some(isPrompt);
        const settings = [
          ...shown.settings,
          ...(lineEnds === 'lf' ? lineEndsIn(facts.inputs, values) : []),
          ...(isTurn && chat !== 'off' ? [{ name: 'chat', value: chat }] : []),
          ...setup.engine.computedOn.map((value) => ({ name: 'device', value })),
        ];
        const made = { ...shown, settings, warnings: [...shown.warnings, ...warnings] };
        const ofText = { ...(hasText(facts.inputs) && { line_ends: lineEnds }), ...(isTurn && { chat }) };
        // A run that is the result tells its own.
        const ofRuns = hasModel(facts.inputs) ? { device: deviceJson(setup.engine) } : {};
        const outcome = outcomeOf(made, { ...ofRuns, ...json(result, values), ...ofText }, file?.(result, values));
        return rows ? { ...outcome, rows: rows(result, values) } : outcome;
      };
      const result = yield* eachAs(run(setup, values, signal), ({ partial, ...progress }) => {
        return { ...progress, ...(partial && ending(partial)) };
      });
      return ending(result, await remarks(setup.engine, facts.inputs, values, signal));
    },
  };
}

const hasText = (inputs: ExperimentInputs) =>
  Object.values(inputs).some((input) => input.kind === 'text' || input.kind === 'texts' || isPrompt(input));

const hasModel = (inputs: ExperimentInputs) =>
  Object.values(inputs).some(({ kind }) => kind === 'model' || kind === 'models');

const deviceJson = ({ device, computedOn }: Engine) => ({ asked: device, said: computedOn });

/** @throws SinkscopeError `input` for a chat where what is run is no text */
function checkTurn(engine: Engine, inputs: ExperimentInputs, values: Given): void {
  const prompts = Object.entries(inputs).filter(([, input]) => isPrompt(input));
  if (engine.chat === undefined || prompts.length === 0 || prompts.some(([name]) => values[name] !== undefined)) return;
  throw new SinkscopeError({ code: 'input', message: chatIsOfTexts });
}

/** Of each text how many line ends were read as another one. */
function lineEndsIn(inputs: ExperimentInputs, values: Given): Setting[] {
  return Object.entries(inputs).flatMap(([name, { kind }]) => {
    const given = values[name];
    if (kind !== 'text' || !isNamedText(given)) return [];
    const count = given.text.match(/\r\n?/g)?.length ?? 0;
    return count === 0
      ? []
      : [{ name: 'line ends', value: `${formatNumber(count)} of ${baseName(given.name)} read as LF` }];
  });
}

/**
 * A sentence for each input of the models that every run filled by a choice nobody made, but where files give what they
 * hold; and what there is to be remarked on each model.
 */
async function remarks(
  engine: Engine,
  inputs: ExperimentInputs,
  values: Given,
  signal: AbortSignal,
): Promise<string[]> {
  const kinds = Object.entries(inputs);
  const isGiven = kinds.some(([, { kind }]) => kind === 'files');
  const models = kinds.flatMap(([name, { kind }]) =>
    kind === 'model' || kind === 'models' ? [values[name]].flat() : [],
  );
  const found: string[] = [];
  for (const model of new Set(models)) {
    if (typeof model !== 'string') continue;
    const { anatomy, model: summary } = await engine.inspect(model, signal, { takes: 'text' });
    for (const { name, how, guessed } of anatomy.inputs)
      if (guessed && !isGiven)
        found.push(`Nobody gave the input ${name} of ${summary.name}, and how it was filled is a guess: ${how}.`);
    for (const remark of summary.remarks) found.push(`${summary.name}: ${remark}.`);
  }
  return found;
}

export function outcomeOf(made: Presentation, json: object, file?: object): Outcome {
  const presentation = presented(made);
  const { warnings, sentence: conclusion } = presentation;
  return { presentation, json: { ...json, warnings, conclusion }, file };
}

/** A run with each of its steps in another form; returns what it returns. */
export async function* eachAs<Step, Other, Result>(
  run: AsyncGenerator<Step, Result, void>,
  other: (step: Step) => Other,
): AsyncGenerator<Other, Result, void> {
  let step = await run.next();
  for (; !step.done; step = await run.next()) yield other(step.value);
  return step.value;
}

/** Runs to the end, and resolves with the result. */
export async function finish<Result>(run: AsyncGenerator<unknown, Result, void>): Promise<Result> {
  let step = await run.next();
  while (!step.done) step = await run.next();
  return step.value;
}

/** How far an experiment is, in words: `measuring 3 of 16`, or `window 3 of 16 · perplexity 63.2`. */
export function progressInWords({ phase, done, of, note }: Progress): string {
  return `${phase} ${done} of ${of}${note === undefined ? '' : ` · ${note}`}`;
}
