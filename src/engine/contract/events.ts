/**
 * What a run says while it happens. The engine emits these in order; every view, the CLI and the tests are
 * folds of this stream and ask for nothing else, except through {@link Query}.
 *
 * Order: `started`, `tokens`, then `layer` 0 … L with `attention` k right after `layer` k (k ≥ 1),
 * `predictions`, and exactly one of `finished` or `failed`.
 */
import type { Problem } from '../../errors.js';
import type { HiddenStatistics, PatternStatistics } from '../../statistics/statistics.js';
import type { Token } from '../../tokens/token.js';
import type { Question, QuestionAnswers } from './answers.js';
import type { Intervention, Point } from './interventions.js';

export type { Token } from '../../tokens/token.js';

export type RunEvent =
  | StartedEvent
  | TokensEvent
  | LayerEvent
  | AttentionEvent
  | PredictionsEvent
  | FinishedEvent
  | FailedEvent;

export interface StartedEvent {
  readonly type: 'started';
  readonly model: ModelSummary;
  /** Everything that changes numbers; kept with the result. */
  readonly settings: RunSettings;
}

export interface ModelSummary {
  readonly file: string;
  readonly name: string;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number | undefined;
  readonly kvHeads: number | undefined;
  readonly context: number | undefined;
  readonly vocabulary: number | undefined;
  readonly parallelBlock: boolean;
  /** Bytes of all weights. */
  readonly bytes: number;
  /** True where attention patterns can be had for every layer. */
  readonly attention: boolean;
  /** In words, parts that were not found. */
  readonly missing: readonly string[];
}

export interface RunSettings {
  /** Whether a prefix token (BOS) was put before the text; undefined when token ids or feeds were given as they are. */
  readonly bos: boolean | undefined;
  readonly executionProvider: 'cpu';
  readonly graphOptimization: 'all';
  readonly threads: number;
}

export interface TokensEvent {
  readonly type: 'tokens';
  /** The tokens that are run, in order; T = tokens.length. */
  readonly tokens: readonly Token[];
  /** Tokens of the whole text; more than T when a window was chosen. */
  readonly total: number;
  /** Index in the whole text's tokens of the first and after the last one that is run (prefix not counted). */
  readonly window: { readonly start: number; readonly end: number };
  /** `features`: the model is fed no token ids, so every row of `h_0` is a token and only numbered. */
  readonly source: 'text' | 'ids' | 'feeds' | 'features' | 'image';
  /** The picture that tokens with a `region` are parts of. */
  readonly picture?: { readonly file: string; readonly width: number; readonly height: number };
  /** False where no tokenizer was found, so tokens have no text. */
  readonly tokenizer: boolean;
}

export interface LayerEvent {
  readonly type: 'layer';
  /** k of `h_k`: 0 is what enters the first block. */
  readonly layer: number;
  readonly statistics: HiddenStatistics;
}

export interface AttentionEvent {
  readonly type: 'attention';
  /** k of the block that leaves `h_k`, 1-based. */
  readonly layer: number;
  readonly statistics: PatternStatistics;
}

export interface Prediction {
  readonly id: number;
  readonly text: string;
  readonly probability: number;
}

export interface PredictionsEvent {
  readonly type: 'predictions';
  /** Index of the token after which these would come. */
  readonly token: number;
  /** Most likely first. */
  readonly top: readonly Prediction[];
}

export interface FinishedEvent {
  readonly type: 'finished';
  readonly seconds: number;
  readonly firstLayerSeconds: number;
  /** Where the tensors asked for were written. */
  readonly saved?: string;
}

export interface FailedEvent {
  readonly type: 'failed';
  readonly problem: Problem;
}

/** What to run. Plain data; validated by the engine before anything is read. */
export interface RunRequest {
  /** Path of the `.onnx` file. */
  readonly model: string;
  readonly prompt:
    | { readonly text: string }
    | { readonly ids: readonly number[] }
    /**
     * A `.safetensors` or `.npz` file with tensors by graph input name; tensors that are no input are ignored.
     * `tokenName`: what tokens of a model that takes no token ids are called, numbered (`node 3`); default `token`.
     * `tokenAxis`: the axis of `h_0` that counts them, from 0; default: all but the last together.
     */
    | { readonly feeds: string; readonly tokenName?: string; readonly tokenAxis?: number }
    /** A PNG or JPEG file, for a model that takes pixels. */
    | { readonly image: string };
  /** Undefined: as the tokenizer's own post-processing (or the model folder's configuration) says. */
  readonly bos?: boolean;
  /** Which part to run when the text is longer than the context; undefined: fail with code `too-long`. */
  readonly window?: { readonly start: number } | 'first' | 'last';
  /** Changes to activations, made while the model runs. */
  readonly interventions?: readonly Intervention[];
  /** Reduce every attention pattern to its sink statistics. */
  readonly attention: boolean;
  /** Bytes the engine may hold, beside the blocks being run. */
  readonly memory: number;
  /** 0: as ONNX Runtime chooses. */
  readonly threads: number;
  readonly save?: SaveRequest;
}

/** Write `hidden.k` and `resid_mid.k`, and what is asked for beside them, as float32 safetensors. */
export interface SaveRequest {
  readonly file: string;
  readonly attention: boolean;
  readonly mlp: boolean;
  readonly logits: boolean;
}

/** Asked of the last finished run, for what is too big to stream. */
export type Query =
  /** Attention pattern of one head: layer as in {@link AttentionEvent}, head 0-based. */
  | { readonly type: 'pattern'; readonly layer: number; readonly head: number }
  /** One row of a hidden state: all D values of a token. */
  | { readonly type: 'hidden'; readonly layer: number; readonly token: number }
  /** Next-token predictions after any token. */
  | { readonly type: 'predictions'; readonly token: number }
  /** One row of an activation inside block `layer`, 1-based. */
  | { readonly type: 'activation'; readonly point: Point; readonly layer: number; readonly token: number }
  /** Logit lens: what the model's own final norm and unembedding predict from h_`layer`. */
  | { readonly type: 'lens'; readonly layer: number; readonly token: number }
  | Question;

export interface QueryAnswers extends QuestionAnswers {
  /** Row-major [queries, keys]. */
  readonly pattern: { readonly queries: number; readonly keys: number; readonly values: Float32Array };
  readonly hidden: { readonly values: Float32Array };
  readonly predictions: PredictionsEvent;
  readonly activation: { readonly values: Float32Array };
  readonly lens: PredictionsEvent;
}
