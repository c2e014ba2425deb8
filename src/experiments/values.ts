/** The values of an experiment's inputs: their types, read from words, and checked. */
import { grouped, SinkscopeError } from '../errors.js';
import type {
  ChoiceInput,
  ExperimentInput,
  ExperimentInputs,
  FilesInput,
  IndicesInput,
  ModelInput,
  ModelsInput,
  NumberInput,
  PairInput,
  SwitchInput,
  TextInput,
  TextsInput,
  WholeInput,
  WordsInput,
} from './facts.js';

/** A text and what it is called. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
  /** Path of its file, as it was given; undefined where it was typed, or is a part of a document. */
  readonly file?: string;
}

/** Texts, read as they are needed, and what they are called together. */
export interface Corpus {
  readonly name: string;
  readonly texts: AsyncIterable<NamedText> | Iterable<NamedText>;
}

/** Undefined where it was left open, or is not needed. */
type OpenOr<I extends ExperimentInput, T> = I extends { readonly default: string | number }
  ? T
  : I extends { readonly open: string } | { readonly neededFor: object }
    ? T | undefined
    : T;

type ValueOf<I extends ExperimentInput> = I extends TextInput
  ? OpenOr<I, NamedText>
  : I extends TextsInput
    ? Corpus
    : I extends WholeInput | NumberInput
      ? OpenOr<I, number>
      : I extends FilesInput | ModelsInput
        ? readonly string[]
        : I extends ModelInput
          ? OpenOr<I, string>
          : I extends ChoiceInput
            ? I['choices'][number]
            : I extends SwitchInput
              ? boolean
              : I extends IndicesInput
                ? OpenOr<I, I['words'][number] | readonly number[]>
                : I extends WordsInput
                  ? OpenOr<I, string>
                  : I extends PairInput
                    ? OpenOr<I, readonly [string, string]>
                    : never;

/** What an experiment is given: by name of the input. */
export type InputValues<I extends ExperimentInputs> = { readonly [Name in keyof I]: ValueOf<I[Name]> };

/** The same before it is checked: nothing for what is left out. */
export type Given = Readonly<Record<string, unknown>>;

/**
 * What was given, checked; defaults for what was not. Words are read where numbers or indices are asked for.
 *
 * @throws SinkscopeError `input` that names the first input whose value does not fit
 */
export function checkedValues<I extends ExperimentInputs>(inputs: I, given: Given): InputValues<I> {
  const values = Object.entries(inputs).map(([name, input]) => [name, checkedValue(inputs, name, input, given)]);
  return Object.fromEntries(values) as InputValues<I>; // entry by entry what `ValueOf` says of each kind
}

function checkedValue(inputs: ExperimentInputs, name: string, input: ExperimentInput, given: Given): unknown {
  const value = given[name];
  if (value === undefined && !isNeeded(inputs, name, given)) {
    const meant = defaultOf(input);
    return typeof meant === 'string' ? valueIn(input, meant) : meant;
  }
  const read = typeof value === 'string' ? valueIn(input, value) : value;
  if (read !== undefined && fits(input, read)) return read;
  const wanted = wantedOf(input);
  const sentence = `${wanted.charAt(0).toLowerCase()}${wanted.slice(1)}`;
  const why = input.neededFor
    ? `${sentence.replace(/\.$/, '')}; ${choiceIn(inputs, input, given)} needs it.`
    : sentence;
  throw new SinkscopeError({ code: 'input', message: `${input.label}: ${why}` });
}

/** Whether an experiment cannot go without this input, what else is given being so. */
export function isNeeded(inputs: ExperimentInputs, name: string, given: Given): boolean {
  const input = inputs[name];
  if (input === undefined || defaultOf(input) !== undefined) return false;
  if (input.neededFor) return isOfUse(inputs, name, given);
  return !('open' in input && input.open !== undefined);
}

/**
 * Whether the palette asks for this input where a text is open: it has no default, or a choice or models are to be made
 * on purpose.
 */
export function isAskedFor(inputs: ExperimentInputs, name: string, given: Given): boolean {
  const input = inputs[name];
  if (input?.kind === 'models' || (input?.kind === 'choice' && input.ask)) return true;
  const isThere = input?.kind === 'model' ? input.chosen : input && 'document' in input && input.document !== undefined;
  return !isThere && isNeeded(inputs, name, given);
}

/** Whether an experiment looks at this input at all, what else is given being so. */
export function isOfUse(inputs: ExperimentInputs, name: string, given: Given): boolean {
  const input = inputs[name];
  return !input?.neededFor || input.neededFor.is.includes(`${choiceIn(inputs, input, given)}`);
}

/**
 * Inputs of which those that are run at once go as far as the chosen model does, as do their defaults.
 *
 * @param context tokens that it takes; undefined where that is not known
 */
export function withinContext(inputs: ExperimentInputs, context: number | undefined): ExperimentInputs {
  const isAboutChosen = Object.values(inputs).some((input) => input.kind === 'model' && input.chosen);
  if (context === undefined || !isAboutChosen) return inputs;
  const bounded = (input: ExperimentInput): ExperimentInput =>
    input.kind === 'whole' && input.within
      ? { ...input, most: context, ...(input.default !== undefined && { default: Math.min(input.default, context) }) }
      : input;
  return Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, bounded(input)]));
}

/** The value of the input that decides whether this one is needed. */
function choiceIn(inputs: ExperimentInputs, { neededFor }: ExperimentInput, given: Given): unknown {
  const decides = neededFor && inputs[neededFor.input];
  return neededFor && (given[neededFor.input] ?? (decides && defaultOf(decides)));
}

/** The value of an input that is left out; undefined where it has none. */
export function defaultOf(input: ExperimentInput): string | number | boolean | undefined {
  if (input.kind === 'choice') return input.choices[0];
  if (input.kind === 'switch') return false;
  return 'default' in input ? input.default : undefined;
}

/** What words say; undefined where they do not say what is asked for. */
export function valueIn(input: ExperimentInput, words: string): unknown {
  const value = readAs(input, words);
  return value !== undefined && fits(input, value) ? value : undefined;
}

function readAs(input: ExperimentInput, words: string): unknown {
  const trimmed = words.trim();
  switch (input.kind) {
    case 'whole':
      return /^\d{1,15}$/.test(trimmed) ? Number(trimmed) : undefined;
    case 'number':
      return trimmed === '' ? undefined : Number(trimmed);
    case 'indices': {
      if (input.words.includes(trimmed)) return trimmed;
      const parts = trimmed.split(/[\s,]+/);
      return parts.every((part) => /^\d{1,9}$/.test(part)) ? parts.map(Number) : undefined;
    }
    case 'pair':
      return words.split(',');
    default:
      return words; // blanks and all: a token may begin with one
  }
}

function fits(input: ExperimentInput, value: unknown): boolean {
  switch (input.kind) {
    case 'text':
      return isNamedText(value);
    case 'texts':
      return isCorpus(value);
    case 'files':
    case 'models':
      return Array.isArray(value) && value.every((one) => typeof one === 'string');
    case 'model':
      return typeof value === 'string';
    case 'whole':
      return Number.isSafeInteger(value) && within(input, value);
    case 'number':
      return Number.isFinite(value) && within(input, value);
    case 'choice':
      return typeof value === 'string' && input.choices.includes(value);
    case 'switch':
      return typeof value === 'boolean';
    case 'indices':
      if (typeof value === 'string') return input.words.includes(value);
      return isIndices(value) && value.length > 0 && value.length <= (input.most ?? value.length);
    case 'pair':
      return isPair(value);
    case 'words':
      return typeof value === 'string' && (!input.pattern || new RegExp(`^(?:${input.pattern.source})$`).test(value));
  }
}

const within = ({ least, most }: Pick<NumberInput, 'least' | 'most'>, value: unknown) =>
  typeof value === 'number' &&
  value >= (least ?? Number.NEGATIVE_INFINITY) &&
  value <= (most ?? Number.POSITIVE_INFINITY);

/** What a value has to be, in a sentence. */
export function wantedOf(input: ExperimentInput): string {
  switch (input.kind) {
    case 'text':
      return 'Choose a text.';
    case 'texts':
      return 'Choose texts.';
    case 'files':
      return 'Choose files.';
    case 'model':
      return 'Choose a model.';
    case 'models':
      return 'Choose models.';
    case 'whole':
      return `It is a whole number${input.unit ? ` of ${input.unit},` : ''} ${boundsInWords(input)}.`;
    case 'number':
      return `It is a number${input.least === undefined ? '' : ` ${boundsInWords(input)}`}.`;
    case 'choice':
      return `It is one of ${input.choices.join(', ')}.`;
    case 'switch':
      return 'It is on or off.';
    case 'indices': {
      const words = input.words.length > 0 ? `, or ${input.words.join(', ')}` : '';
      return input.most === 1
        ? `It is a whole number from 0 on${words}.`
        : `They are whole numbers from 0 on, as in 0,3,17${words}.`;
    }
    case 'pair':
      return 'They are two tokens, as in yes,no, with the blanks that belong to them.';
    case 'words':
      if (input.writes) return `It is the path of a ${input.writes === 'folder' ? 'folder' : 'file'}.`;
      return input.pattern?.wanted ?? 'It is a word or more.';
  }
}

const boundsInWords = ({ least, most }: Pick<NumberInput, 'least' | 'most'>) =>
  most === undefined ? `from ${least} on` : `from ${least} to ${grouped(most)}`;

export const isNamedText = (value: unknown): value is NamedText =>
  typeof value === 'object' && value !== null && 'text' in value && 'name' in value;

const isCorpus = (value: unknown): value is Corpus =>
  typeof value === 'object' && value !== null && 'texts' in value && 'name' in value;

const isPair = (value: unknown): value is readonly [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === 'string' && one !== '');

const isIndices = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((index) => Number.isInteger(index) && index >= 0);
