/** An experiment as people meet it: a name, what it has to be given, and steps that end in something to look at. */
import type { Presentation } from '../../analysis/presentation.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { ExperimentFacts, Input, Inputs } from './facts.js';

/** What may be used. */
export interface Budget {
  /** Bytes that the engine may hold beside the block it runs. */
  readonly memory: number;
  /** 0: as ONNX Runtime chooses. */
  readonly threads: number;
}

/** A text and what it is called: the name of its document or file. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** Texts, read as they are needed, and what they are called together. */
export interface Corpus {
  readonly name: string;
  readonly texts: AsyncIterable<NamedText> | Iterable<NamedText>;
}

/** What is chosen for all experiments alike. */
export interface Setup extends Budget {
  readonly engine: Engine;
  /** Path of the `.onnx` file. */
  readonly model: string;
  /** Undefined: as the model has it. */
  readonly bos: boolean | undefined;
  readonly thresholds: Thresholds;
}

/** How far an experiment is, in numbers and words, and what it shows once there is something. */
export interface ExperimentStep {
  readonly done: number;
  readonly of: number;
  readonly text: string;
  readonly presentation?: Presentation;
}

export interface Experiment extends ExperimentFacts {
  /**
   * Its steps; the last one has the presentation.
   *
   * @param given a value for each input that has no default, by name; those of texts are {@link NamedText}s, of several
   *   {@link Corpus}es
   * @throws SinkscopeError `input` for a value that does not fit, and what the experiment throws
   */
  run(setup: Setup, given: Readonly<Record<string, unknown>>, signal: AbortSignal): AsyncIterable<ExperimentStep>;
}

type ValueOf<I extends Input> = I['kind'] extends 'text'
  ? I extends { readonly optional: true }
    ? NamedText | undefined
    : NamedText
  : I['kind'] extends 'texts'
    ? Corpus
    : I['kind'] extends 'whole' | 'number'
      ? I extends { readonly default: number }
        ? number
        : number | undefined
      : I['kind'] extends 'models' | 'files'
        ? readonly string[]
        : I extends { readonly kind: 'words'; readonly open: string }
          ? string | undefined
          : string;

export type Values<I extends Inputs> = { readonly [Name in keyof I]: ValueOf<I[Name]> };

/** Makes an experiment of a function that takes its inputs' values, checked and typed. */
export function experiment<const I extends Inputs>(
  definition: Omit<ExperimentFacts, 'inputs'> & {
    readonly inputs: I;
    steps(setup: Setup, values: Values<I>, signal: AbortSignal): AsyncIterable<ExperimentStep>;
  },
): Experiment {
  const { steps, inputs, ...facts } = definition;
  return { ...facts, inputs, run: (setup, given, signal) => steps(setup, checked(inputs, given), signal) };
}

function checked<I extends Inputs>(inputs: I, given: Readonly<Record<string, unknown>>): Values<I> {
  const values = Object.entries(inputs).map(([name, input]) => [name, checkedValue(input, given[name])]);
  return Object.fromEntries(values) as Values<I>; // entry by entry what `ValueOf` says of each kind
}

function checkedValue(input: Input, value: unknown): unknown {
  const wrong = (what: string) => new SinkscopeError({ code: 'input', message: `${input.label}: ${what}.` });
  switch (input.kind) {
    case 'text':
      if (isNamedText(value) || (value === undefined && input.optional)) return value;
      throw wrong('choose a text');
    case 'texts':
      if (isCorpus(value)) return value;
      throw wrong('choose texts');
    case 'whole': {
      const whole = value ?? input.default;
      if (whole === undefined || (typeof whole === 'number' && Number.isInteger(whole) && whole >= input.least))
        return whole;
      throw wrong(`give a whole number from ${input.least} on`);
    }
    case 'number':
      if (value === undefined || Number.isFinite(value)) return value ?? input.default;
      throw wrong('give a number');
    case 'choice': {
      const choice = value ?? input.choices[0];
      if (typeof choice === 'string' && input.choices.includes(choice)) return choice;
      throw wrong(`choose one of ${input.choices.join(', ')}`);
    }
    case 'words':
      if (value === undefined || typeof value === 'string') return value ?? input.default;
      throw wrong('give words');
    case 'model':
      if (typeof value === 'string') return value;
      throw wrong('choose a model');
    case 'models':
    case 'files':
      if (Array.isArray(value) && value.every((file) => typeof file === 'string')) return value;
      throw wrong(input.kind === 'models' ? 'choose models' : 'choose files');
  }
}

const isCorpus = (value: unknown): value is Corpus =>
  typeof value === 'object' && value !== null && 'texts' in value && 'name' in value;

const isNamedText = (value: unknown): value is NamedText =>
  typeof value === 'object' && value !== null && 'text' in value && 'name' in value;
