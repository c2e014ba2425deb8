/**
 * What people are told of an experiment and asked for, as plain data: a webview can be sent it, and command line,
 * palette, the panel's form, `package.json` and the tables of the documentation are made of it.
 */
import * as v from 'valibot';
import { exactly, text, whole } from '../schemas.js';

/** What experiments answer, by which they are offered together. */
export const subjects = {
  massive: 'What is massive?',
  effect: 'What does it do?',
  inside: 'What does the model compute?',
  quantising: 'What does quantising cost?',
  models: 'How do models differ?',
} as const;
export type Subject = keyof typeof subjects;

export interface ExperimentFacts {
  /** The subcommand; {@link commandOf} makes the command of it. */
  readonly id: string;
  readonly title: string;
  readonly about: Subject;
  /** What the palette calls it, with an ellipsis where it asks for more. */
  readonly command: string;
  /** What it answers, in a sentence. */
  readonly description: string;
  /** What it does, as the command line's help says it: no capital, no full stop. */
  readonly help: string;
  /** In the order in which they are asked for. */
  readonly inputs: ExperimentInputs;
  /** What its file is (`--save`), as that help says it; undefined: it has none beside its JSON. */
  readonly saves?: string;
  /** Whether that may be a `.parquet` file as well. */
  readonly hasRows?: true;
}

export type ExperimentInputs = Readonly<Record<string, ExperimentInput>>;

export type ExperimentInput =
  | TextInput
  | TextsInput
  | FilesInput
  | ModelInput
  | ModelsInput
  | WholeInput
  | NumberInput
  | ChoiceInput
  | SwitchInput
  | IndicesInput
  | WordsInput
  | PairInput;

interface AnyInput {
  /** What its field is called. */
  readonly label: string;
  /**
   * On the command line, as commander writes it: an option as `--window <tokens>` or `--mid`, an argument as `<model>`
   * or `<parts...>`. No two of an experiment have the same name.
   */
  readonly flag: string;
  /** What the command line's help says of it. */
  readonly help: string;
  /** Only where another input has one of these values it is needed, and asked for; else it is of no use. */
  readonly neededFor?: { readonly input: string; readonly is: readonly string[] };
}

/** What a click on a finding may fill in: a part of the panel's selection. */
interface Selectable {
  readonly takes?: 'token' | 'dim' | 'layer';
}

/** What is meant unless something else is given; without a default it may stay open, which then means `open`. */
interface Default<T> {
  readonly default?: T;
  /** In a word or two. */
  readonly open?: string;
}

/** One text: of a file, or where it says so of a document. */
export interface TextInput extends AnyInput {
  readonly kind: 'text';
  /** Without one this is meant, in a word or two. */
  readonly open?: string;
  /**
   * Unless a file is chosen it is what is open in the editor, or what was analysed last and else what is open, or a book
   * that comes with the extension. On the command line there are none of these.
   */
  readonly document?: 'open' | 'analysed' | 'bundled';
  /**
   * It is run at once, as a prompt: it may be typed on the command line (`--text`), and of one that is too long only
   * the first or last part may be run (`--window`).
   */
  readonly prompt?: true;
}

/** Several texts: files, or all of a folder; without any, as of one text. */
export interface TextsInput extends AnyInput {
  readonly kind: 'texts';
  readonly document?: 'open' | 'bundled';
  /** They may be typed on the command line (`--text`) too. */
  readonly typed?: true;
}

/** Files with one of these extensions. */
export interface FilesInput extends AnyInput {
  readonly kind: 'files';
  /** What one of them is: `picture`. */
  readonly one: string;
  readonly extensions: readonly string[];
  /** Another option that gives such files. */
  readonly also?: { readonly flag: string; readonly help: string };
}

/** A model: the one that is chosen for all (nobody is asked for it then, but on the command line), or another. */
export interface ModelInput extends AnyInput {
  readonly kind: 'model';
  readonly chosen?: true;
  /** Without one this is meant, in a word or two. */
  readonly open?: string;
}

/** Several models, the bundled ones unless others are picked. */
export interface ModelsInput extends AnyInput {
  readonly kind: 'models';
  readonly default?: 'bundled';
}

/** A whole number from `least` on, up to `most` where there is one. */
export interface WholeInput extends AnyInput, Selectable, Default<number> {
  readonly kind: 'whole';
  readonly least: number;
  readonly most?: number;
  /** What it counts, in the plural. */
  readonly unit?: string;
  /** Tokens that are run at once: no more than the model's context, where that is known. */
  readonly within?: 'context';
}

/** Any number, within bounds where there are some. */
export interface NumberInput extends AnyInput, Default<number> {
  readonly kind: 'number';
  readonly least?: number;
  readonly most?: number;
}

/** One of these words; the first is the default. */
export interface ChoiceInput extends AnyInput {
  readonly kind: 'choice';
  readonly choices: readonly string[];
  /** The palette asks for it, whatever its default: with this question, and each choice by a title of its own. */
  readonly ask?: { readonly question: string; readonly titles: Readonly<Record<string, string>> };
}

/** Off, unless it is switched on. */
export interface SwitchInput extends AnyInput {
  readonly kind: 'switch';
}

/** Indices from 0 on as in `0,3,17`, `most` of them where it says so; or one of these words. */
export interface IndicesInput extends AnyInput, Selectable, Default<string> {
  readonly kind: 'indices';
  readonly words: readonly string[];
  readonly most?: number;
}

/** Words, of the form of a regular expression where there is one; `wanted` says it. */
export interface WordsInput extends AnyInput, Selectable, Default<string> {
  readonly kind: 'words';
  readonly pattern?: { readonly source: string; readonly wanted: string };
  /** They are run as a text, so that a prefix token may be put before them. */
  readonly run?: true;
  /** They are the path of a file that is read: of an agent only where it may open it. */
  readonly reads?: true;
  /** They are the path of a file that is written, or of a folder for such: asked of people alone. */
  readonly writes?: true | 'folder';
}

/** Two tokens as in `yes,no`, with the blanks that belong to them; one after the other on the command line. */
export interface PairInput extends AnyInput, Default<string> {
  readonly kind: 'pair';
}

/** Whether an input is a text that is run as a prompt, which may be a turn of a chat. */
export const isPrompt = (input: ExperimentInput): boolean =>
  (input.kind === 'text' && input.prompt === true) || (input.kind === 'words' && input.run === true);

/** The command of an experiment: `sinkscope.compareQuantised` of `compare-quantised`. */
export function commandOf({ id }: Pick<ExperimentFacts, 'id'>): string {
  return `sinkscope.${id.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())}`;
}

const any = {
  label: text,
  flag: text,
  help: text,
  neededFor: v.optional(v.object({ input: text, is: v.array(text) })),
};
const selectable = { takes: v.optional(v.picklist(['token', 'dim', 'layer'])) };
const number = v.optional(v.number());
const open = v.optional(text);
const on = v.optional(v.literal(true));

const input = exactly<ExperimentInput>()(
  v.variant('kind', [
    v.object({
      ...any,
      kind: v.literal('text'),
      open,
      document: v.optional(v.picklist(['open', 'analysed', 'bundled'])),
      prompt: on,
    }),
    v.object({
      ...any,
      kind: v.literal('texts'),
      document: v.optional(v.picklist(['open', 'bundled'])),
      typed: on,
    }),
    v.object({
      ...any,
      kind: v.literal('files'),
      one: text,
      extensions: v.array(text),
      also: v.optional(v.object({ flag: text, help: text })),
    }),
    v.object({ ...any, kind: v.literal('model'), chosen: on, open }),
    v.object({ ...any, kind: v.literal('models'), default: v.optional(v.literal('bundled')) }),
    v.object({
      ...any,
      ...selectable,
      kind: v.literal('whole'),
      least: v.number(),
      most: number,
      default: number,
      open,
      unit: v.optional(text),
      within: v.optional(v.literal('context')),
    }),
    v.object({ ...any, kind: v.literal('number'), least: number, most: number, default: number, open }),
    v.object({
      ...any,
      kind: v.literal('choice'),
      choices: v.array(text),
      ask: v.optional(v.object({ question: text, titles: v.record(text, text) })),
    }),
    v.object({ ...any, kind: v.literal('switch') }),
    v.object({
      ...any,
      ...selectable,
      kind: v.literal('indices'),
      words: v.array(text),
      most: v.optional(whole),
      default: v.optional(text),
      open,
    }),
    v.object({
      ...any,
      ...selectable,
      kind: v.literal('words'),
      pattern: v.optional(v.object({ source: text, wanted: text })),
      run: on,
      reads: on,
      writes: v.optional(v.union([v.literal(true), v.literal('folder')])),
      default: v.optional(text),
      open,
    }),
    v.object({ ...any, kind: v.literal('pair'), default: v.optional(text), open }),
  ]),
);

export const experimentFacts = exactly<ExperimentFacts>()(
  v.object({
    id: text,
    title: text,
    about: v.picklist(['massive', 'effect', 'inside', 'quantising', 'models']),
    command: text,
    description: text,
    help: text,
    inputs: v.record(text, input),
    saves: v.optional(text),
    hasRows: on,
  }),
);
