/**
 * What the extension host and a webview say to each other. The host owns the events and the selection; a webview
 * holds a fold of what it was sent and can be thrown away at any time: `ready` brings everything again.
 */

import type { Presentation } from './analysis/presentation.js';
import type { Selection } from './analysis/selection.js';
import type { Thresholds } from './analysis/thresholds.js';
import type { RunEvent } from './engine/contract/events.js';
import type { AnswerTo, Question, QuestionType } from './engine/contract/questions.js';
import type { Problem } from './errors.js';
import type { ExperimentFacts } from './experiments/facts.js';

export interface ModelChoice {
  readonly file: string;
  readonly name: string;
  /** Where it was found: it came with the extension, lies in the workspace, or is named in the settings. */
  readonly origin: 'bundled' | 'workspace' | 'settings';
}

/** What the panel shows besides the run itself. */
export interface ViewState {
  /** Title of the analysed document, e.g. `notes.md`. */
  readonly document: string | undefined;
  /** In words, e.g. `selection` or `whole document`. */
  readonly scope: string | undefined;
  readonly models: readonly ModelChoice[];
  /** `file` of the chosen model. */
  readonly model: string | undefined;
  readonly bos: 'auto' | 'on' | 'off';
  readonly thresholds: Thresholds;
  /** True when the document has changed inside the analysed range since the run. */
  readonly stale: boolean;
}

/** One run of an experiment, as far as it is. */
export interface ExperimentRun {
  /** Counts up. */
  readonly number: number;
  /** `id` of the experiment, and its title. */
  readonly experiment: string;
  readonly title: string;
  readonly status: 'running' | 'finished' | 'failed';
  /** Undefined before the first step. */
  readonly progress?: { readonly done: number; readonly of: number; readonly text: string };
  readonly presentation?: Presentation;
  readonly problem?: Problem;
}

/** What texts and files are called that experiments run on. */
export interface TextNames {
  readonly documents: {
    /** What is open in the editor. */
    readonly open?: string;
    /** What was analysed last, and else what is open. */
    readonly analysed?: string;
  };
  /** What was chosen in their place, by name of the input. */
  readonly chosen: Readonly<Record<string, string>>;
}

/** Each message is whole, so that one that is lost or late does no harm. */
export type ExperimentsMessage =
  /** What can be run, and on what. */
  | { readonly kind: 'choices'; readonly experiments: readonly ExperimentFacts[]; readonly texts: TextNames }
  /** All runs that are kept, newest first. */
  | { readonly kind: 'runs'; readonly runs: readonly ExperimentRun[] }
  /** One of them has got further, or is new. */
  | { readonly kind: 'run'; readonly run: ExperimentRun };

export type ExperimentAction =
  | {
      readonly do: 'run';
      readonly experiment: string;
      /** By name of the input; texts are the host's. */
      readonly values: Readonly<Record<string, string | number | boolean | readonly string[]>>;
    }
  | { readonly do: 'stop' }
  | { readonly do: 'close'; readonly run: number }
  | { readonly do: 'choose-text'; readonly experiment: string; readonly input: string }
  /** What programs get of it, or the table of one part. */
  | { readonly do: 'save-json'; readonly run: number }
  | { readonly do: 'save-csv'; readonly run: number; readonly part: number };

export type ToWebview =
  | { readonly type: 'view'; readonly state: ViewState }
  /** All events of the current run so far; replaces what the webview holds. Run 0: nothing was run yet. */
  | { readonly type: 'replay'; readonly run: number; readonly events: readonly RunEvent[] }
  /** The next event of run `run`; `index` is its place in that run. A gap is answered with `ready`. */
  | { readonly type: 'event'; readonly run: number; readonly index: number; readonly event: RunEvent }
  | { readonly type: 'selection'; readonly selection: Selection }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly type: 'experiments'; readonly message: ExperimentsMessage };

/** What a webview asks: about the engine's last run, or for the file of the picture that the run is about. */
export type Asked = Question | { readonly type: 'picture' };

export type Answers = { readonly [T in QuestionType]: AnswerTo<T> } & {
  readonly picture: { readonly bytes: Uint8Array };
};

export type Answer =
  | { readonly ok: true; readonly value: Answers[Asked['type']] }
  | { readonly ok: false; readonly problem: Problem };

export type FromWebview =
  | { readonly type: 'ready' }
  | { readonly type: 'select'; readonly selection: Selection }
  | { readonly type: 'stop' }
  /** Run the same text again, with what is chosen now. */
  | { readonly type: 'analyze-again' }
  | { readonly type: 'choose-model'; readonly file: string }
  | { readonly type: 'choose-bos'; readonly bos: 'auto' | 'on' | 'off' }
  | { readonly type: 'query'; readonly id: number; readonly query: Asked }
  | { readonly type: 'open-settings' }
  | { readonly type: 'save'; readonly what: 'json' | 'safetensors' }
  | { readonly type: 'save-picture'; readonly name: string; readonly png: Uint8Array }
  | { readonly type: 'experiment'; readonly action: ExperimentAction };
