/**
 * What the extension host and a webview say to each other. The host owns the events and the selection; a webview
 * holds a fold of what it was sent and can be thrown away at any time: `ready` brings everything again. Both check what
 * arrives: a webview can outlive the host that built it, and what a host is told may come from anywhere.
 */
import * as v from 'valibot';
import { helpNames } from './analysis/help.js';
import { presentation } from './analysis/presentation.js';
import type { Selection } from './analysis/selection.js';
import type { Thresholds } from './analysis/thresholds.js';
import { tintChoices } from './analysis/tint.js';
import { description, weightStatistics } from './engine/contract/description.js';
import { runEvent } from './engine/contract/events.js';
import { type AnswerTo, questions, type ViewQuestionType, viewQuestion } from './engine/contract/questions.js';
import { thresholdsSchema } from './engine/contract/results.js';
import { experimentFacts } from './experiments/facts.js';
import { exactly, flag, maybe, problem, real, type Sent, text, uint8Array, whole } from './schemas.js';

const bos = v.picklist(['auto', 'on', 'off']);
const tint = v.picklist(tintChoices);

const selection = exactly<Selection>()(
  v.strictObject({
    token: v.optional(whole),
    layer: v.optional(whole),
    dim: v.optional(whole),
    head: v.optional(whole),
    next: v.optional(whole),
  }),
);

const modelChoice = v.object({
  file: text,
  name: text,
  /** Where it was found: it came with the extension, lies in the workspace, or is named in the settings. */
  origin: v.picklist(['bundled', 'settings', 'workspace', 'machine']),
});
export type ModelChoice = Sent<typeof modelChoice>;

const viewState = v.object({
  /** Title of the analysed document, e.g. `notes.md`. */
  document: maybe(text),
  /** In words, e.g. `selection` or `whole document`. */
  scope: maybe(text),
  models: v.array(modelChoice),
  /** `file` of the chosen model. */
  model: maybe(text),
  /** Tokens that it takes at once, where that is known. */
  context: maybe(whole),
  bos,
  tint,
  thresholds: exactly<Thresholds>()(thresholdsSchema),
  /** What has changed since the run: the document inside the analysed range, or which model or prefix is chosen. */
  stale: maybe(v.picklist(['text', 'choice'])),
  /** Why a run after the one that is shown gave nothing. */
  trouble: maybe(problem),
  /** In a sentence, that the run follows what is typed, and how; undefined: it does not. */
  live: maybe(text),
  /** The model that is analysed again whenever its files change. */
  watched: maybe(
    v.object({
      name: text,
      /** Why it cannot be analysed as it is now. */
      problem: maybe(text),
    }),
  ),
  /** Whether a run is pinned to hold others against it, and whether that is the one that is shown. */
  pinned: v.picklist(['none', 'shown', 'other']),
  /** Name of the tensors beside a saved result, which answer in the model's place; undefined: none do. */
  tensors: maybe(text),
});
/** What the panel shows besides the run itself. */
export type ViewState = Sent<typeof viewState>;

export const experimentRun = v.object({
  /** Counts up. */
  number: whole,
  /** `id` of the experiment, and its title. */
  experiment: text,
  title: text,
  status: v.picklist(['running', 'finished', 'failed']),
  /** Undefined before the first step. */
  progress: v.optional(v.object({ done: real, of: whole, text })),
  presentation: v.optional(presentation),
  problem: v.optional(problem),
  /** Whether there is what the experiment `saves`, beside its JSON. */
  hasFile: v.optional(flag),
});
/** One run of an experiment, as far as it is. */
export type ExperimentRun = Sent<typeof experimentRun>;

const textNames = v.object({
  documents: v.object({
    /** What is open in the editor. */
    open: v.optional(text),
    /** What was analysed last, and else what is open. */
    analysed: v.optional(text),
    /** What comes with the extension. */
    bundled: v.optional(text),
  }),
  /** What was chosen in their place, by name of the input. */
  chosen: v.record(text, text),
});
/** What texts and files are called that experiments run on. */
export type TextNames = Sent<typeof textNames>;

const experimentsMessage = v.variant('kind', [
  /** What can be run, and on what. */
  v.object({ kind: v.literal('choices'), experiments: v.array(experimentFacts), texts: textNames }),
  /** All runs that are kept, newest first. */
  v.object({ kind: v.literal('runs'), runs: v.array(experimentRun) }),
  /** One of them has got further, or is new. */
  v.object({ kind: v.literal('run'), run: experimentRun }),
]);
/** Each message is whole, so that one that is lost or late does no harm. */
export type ExperimentsMessage = Sent<typeof experimentsMessage>;

const experimentAction = v.variant('do', [
  v.strictObject({
    do: v.literal('run'),
    experiment: text,
    /** By name of the input; texts are the host's. */
    values: v.record(text, v.union([text, v.pipe(v.number(), v.finite()), flag, v.array(text)])),
  }),
  v.strictObject({ do: v.literal('stop') }),
  /** About it, in the documentation. */
  v.strictObject({ do: v.literal('read'), experiment: text }),
  v.strictObject({ do: v.literal('close'), run: whole }),
  v.strictObject({ do: v.literal('choose-text'), experiment: text, input: text }),
  /** What programs get of it, or what it `saves`. */
  v.strictObject({ do: v.literal('save-json'), run: whole }),
  v.strictObject({ do: v.literal('save-file'), run: whole }),
]);
export type ExperimentAction = Sent<typeof experimentAction>;

/** The file of the picture that the run is about: the host's to answer. */
const picture = { schema: v.strictObject({ type: v.literal('picture') }), answer: v.object({ bytes: uint8Array }) };

/** One weight of the file that a model's editor shows, or of the one that it is compared with: the editor's to answer. */
const weight = {
  schema: v.strictObject({ type: v.literal('weight'), name: text, of: v.picklist(['file', 'other']) }),
  answer: weightStatistics,
};

const asked = v.variant('type', [viewQuestion, picture.schema, weight.schema]);
/** What a webview asks: about the engine's last run, for the picture, or about a weight. */
export type Asked = Sent<typeof asked>;

type Replies = { readonly [T in ViewQuestionType]: AnswerTo<T> } & {
  readonly picture: Sent<typeof picture.answer>;
  readonly weight: Sent<typeof weight.answer>;
};
export type ReplyTo<T extends Asked['type']> = Replies[T];

const replies: { readonly [T in Asked['type']]: { readonly answer: v.GenericSchema<unknown, ReplyTo<T>> } } = {
  ...questions,
  picture,
  weight,
};

const reply = v.variant('ok', [
  /** Checked by who asked. */
  v.object({ ok: v.literal(true), value: v.unknown() }),
  v.object({ ok: v.literal(false), problem }),
]);
export type Reply = Sent<typeof reply>;

const against = v.object({
  /** Of a pinned run; of a model that is watched. */
  name: text,
  pinned: flag,
  events: v.array(runEvent),
});
/** A finished run that the one shown is held against: the pinned one, or the one before of a model that is watched. */
export type Against = Sent<typeof against>;

const aboutFile = v.variant('status', [
  /** Nothing of it is read before its folder is trusted. */
  v.object({ status: v.literal('untrusted') }),
  v.object({ status: v.literal('reading') }),
  v.object({ status: v.literal('read'), description }),
  v.object({ status: v.literal('failed'), problem }),
]);
/** What is known of a file. */
export type AboutFile = Sent<typeof aboutFile>;

const shownFile = v.object({
  /** Of the file, and of its folder where that tells more. */ name: text,
  about: aboutFile,
});

const modelState = v.object({
  /** Path, as runs of it name it. */
  file: text,
  shown: shownFile,
  /** What it is compared with. */
  other: maybe(shownFile),
});
/** What the editor of a model's file shows besides a run. */
export type ModelState = Sent<typeof modelState>;

const toWebview = v.variant('type', [
  v.object({ type: v.literal('view'), state: viewState }),
  /** All events of the current run so far; replaces what the webview holds. Run 0: nothing was run yet. */
  v.object({ type: v.literal('replay'), run: whole, events: v.array(runEvent) }),
  /** The next event of run `run`; `index` is its place in that run. A gap is answered with `ready`. */
  v.object({ type: v.literal('event'), run: whole, index: whole, event: runEvent }),
  v.object({ type: v.literal('selection'), selection }),
  v.object({ type: v.literal('against'), before: maybe(against) }),
  v.object({ type: v.literal('answer'), id: whole, answer: reply }),
  v.object({ type: v.literal('experiments'), message: experimentsMessage }),
  v.object({ type: v.literal('model'), state: modelState }),
]);
export type ToWebview = Sent<typeof toWebview>;

const modelAction = v.variant('do', [
  /** Run a text with this file. */
  v.strictObject({ do: v.literal('try'), text, stream: v.optional(text) }),
  /** Show another of its residual streams. */
  v.strictObject({ do: v.literal('stream'), stream: text }),
  v.strictObject({ do: v.literal('compare') }),
  v.strictObject({ do: v.literal('compare-end') }),
  v.strictObject({ do: v.literal('read-again') }),
  /** Use it for texts from now on. */
  v.strictObject({ do: v.literal('choose') }),
  /** For a file without one, or another in its place. */
  v.strictObject({ do: v.literal('choose-tokenizer') }),
  v.strictObject({ do: v.literal('trust') }),
  v.strictObject({ do: v.literal('show-panel') }),
]);
/** What is done in the editor of a model's file. */
export type ModelAction = Sent<typeof modelAction>;

const fromWebview = v.variant('type', [
  v.strictObject({ type: v.literal('ready') }),
  v.strictObject({ type: v.literal('select'), selection }),
  v.strictObject({ type: v.literal('stop') }),
  /** Run the same text again, with what is chosen now; with a `stream`, as that one of the model's residual streams. */
  v.strictObject({ type: v.literal('analyze-again'), stream: v.optional(text) }),
  /** Hold the runs to come against the one that is shown, or against none. */
  v.strictObject({ type: v.literal('pin'), on: flag }),
  /** Watch no model any longer. */
  v.strictObject({ type: v.literal('unwatch') }),
  v.strictObject({ type: v.literal('choose-model'), file: text }),
  v.strictObject({ type: v.literal('choose-bos'), bos }),
  v.strictObject({ type: v.literal('choose-tint'), tint }),
  v.strictObject({ type: v.literal('query'), id: whole, query: asked }),
  v.strictObject({ type: v.literal('open-settings') }),
  v.strictObject({ type: v.literal('try-sample') }),
  v.strictObject({ type: v.literal('help'), name: v.picklist(helpNames) }),
  v.strictObject({ type: v.literal('save'), what: v.picklist(['json', 'safetensors']) }),
  /** What a view shows, as a file; the name is without its extension. */
  v.strictObject({
    type: v.literal('save-file'),
    name: text,
    kind: v.picklist(['png', 'svg', 'csv']),
    bytes: uint8Array,
  }),
  v.strictObject({ type: v.literal('copy'), text }),
  /** One HTML file with all that is shown. */
  v.strictObject({ type: v.literal('save-report') }),
  v.strictObject({ type: v.literal('experiment'), action: experimentAction }),
  v.strictObject({ type: v.literal('model'), action: modelAction }),
]);
export type FromWebview = Sent<typeof fromWebview>;

/** What arrived at a webview; undefined where it is no message of the host's. */
export function readToWebview(data: unknown): ToWebview | undefined {
  const result = v.safeParse(toWebview, data);
  return result.success ? result.output : undefined;
}

/** What arrived from a webview; undefined where it is no message, so that nothing acts on it. */
export function readFromWebview(data: unknown): FromWebview | undefined {
  const result = v.safeParse(fromWebview, data);
  return result.success ? result.output : undefined;
}

/** `value` as the answer to what a webview asked; undefined where it is not one. */
export function readReply<T extends Asked['type']>(type: T, value: unknown): ReplyTo<T> | undefined {
  const { answer }: { readonly answer: v.GenericSchema<unknown, ReplyTo<T>> } = replies[type];
  const result = v.safeParse(answer, value);
  return result.success ? result.output : undefined;
}
