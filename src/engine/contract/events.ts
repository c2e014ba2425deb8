/**
 * What a run says while it happens. The engine emits these in order; every view, the CLI and the tests are
 * folds of this stream and ask for nothing else, except through questions (`questions.ts`).
 *
 * Order: `started`, `tokens`, then `layer` 0 … L with `attention` k or `pattern-left-out` k, `cross-attention` k and
 * `routing` k, where there are any, right after `layer` k (k ≥ 1), `predictions` or, where the head is no vocabulary's, `outputs`, and exactly
 * one of `finished` or `failed`. `device` comes wherever it is known what computes the blocks to come, where anything but
 * the CPU was asked for.
 */
import * as v from 'valibot';
import {
  exactly,
  flag,
  float32Array,
  int32Array,
  maybe,
  problem,
  real,
  type Sent,
  text,
  whole,
} from '../../schemas.js';
import type {
  CrossStatistics,
  Entry,
  HiddenStatistics,
  PatternStatistics,
  RoutingStatistics,
} from '../../statistics/statistics.js';
import { roles, type Token } from '../../tokens/token.js';
import { deviceEvent } from './device.js';
import { fedInput } from './inputs.js';
import { intervention } from './interventions.js';
import { chat, lineEnds, memory, path, stream, threads } from './request.js';

export type { ChatRole, Token } from '../../tokens/token.js';

const token = exactly<Token>()(
  v.object({
    id: v.number(),
    text,
    start: whole,
    end: whole,
    special: flag,
    role: v.optional(v.picklist(roles)),
    region: v.optional(v.object({ x: real, y: real, width: real, height: real })),
  }),
);

export const entry = exactly<Entry>()(v.object({ value: real, token: whole, dim: whole }));

export const hiddenEntries = {
  tokens: whole,
  dims: whole,
  top: v.array(entry),
  median: real,
  tokenNorm: float32Array,
  tokenMax: float32Array,
  tokenMaxDim: int32Array,
  dimMax: float32Array,
  nonFinite: whole,
};

/** Whether a hidden state's arrays are as long as its tokens and dims say. */
export const isWhole = ({ tokens, dims, tokenNorm, tokenMax, tokenMaxDim, dimMax }: HiddenStatistics) =>
  [tokenNorm, tokenMax, tokenMaxDim].every(({ length }) => length === tokens) && dimMax.length === dims;
export const notWhole = 'must have arrays as long as there are tokens and dims';

export const hiddenState = exactly<HiddenStatistics>()(
  v.pipe(
    v.object(hiddenEntries),
    v.check((state) => isWhole(state), notWhole),
  ),
);

const pattern = exactly<PatternStatistics>()(
  v.pipe(
    v.object({
      heads: whole,
      tokens: whole,
      alpha: float32Array,
      causal: flag,
      extra: maybe(v.object({ side: v.picklist(['first', 'last']), columns: whole, alpha: float32Array })),
    }),
    v.check(
      ({ heads, tokens, alpha, extra }) =>
        alpha.length === heads * tokens && (extra === undefined || extra.alpha.length === heads),
      'must have arrays as long as there are heads and tokens',
    ),
  ),
);

const routing = exactly<RoutingStatistics>()(
  v.pipe(
    v.object({
      tokens: whole,
      experts: whole,
      chosen: whole,
      indices: int32Array,
      weights: float32Array,
      multiplies: v.picklist(['outputs', 'inputs']),
      scores: maybe(v.object({ kind: v.picklist(['softmax', 'sigmoid']), values: float32Array })),
      largest: maybe(float32Array),
      made: v.optional(v.array(v.object({ token: whole, dim: whole, made: float32Array }))),
    }),
    v.check(
      ({ tokens, experts, chosen, indices, weights, scores, largest, made = [] }) =>
        made.every((entry) => entry.token < tokens && entry.made.length === chosen) &&
        [indices, weights, largest].every((array) => array === undefined || array.length === tokens * chosen) &&
        (scores === undefined || scores.values.length === tokens * experts),
      'must have arrays as long as there are tokens and experts',
    ),
  ),
);

export const modelSummary = v.object({
  file: text,
  name: text,
  /** The residual stream that it is about, of those of the file; runs that were kept before this was noted have none. */
  stream: v.optional(text, ''),
  streams: v.optional(v.array(text), () => []),
  layers: whole,
  hidden: whole,
  heads: maybe(whole),
  kvHeads: maybe(whole),
  context: maybe(whole),
  vocabulary: maybe(whole),
  parallelBlock: flag,
  /** Bytes of all weights. */
  bytes: v.number(),
  /** True where attention patterns can be had for every layer. */
  attention: flag,
  /** In words, parts that were not found. */
  missing: v.array(text),
  /** In words, what its numbers have to be read with. */
  remarks: v.array(text),
});
export type ModelSummary = Sent<typeof modelSummary>;

export const startedEvent = v.object({
  type: v.literal('started'),
  model: modelSummary,
  /** Everything that changes numbers; kept with the result. */
  settings: v.object({
    /** Whether a prefix token (BOS) was put before the text; undefined when token ids or feeds were given as they are. */
    bos: maybe(flag),
    /** How line ends of the text were read; undefined where there was no text. */
    lineEnds,
    /** Whether the text was the user's turn of a chat, and after a system's; undefined where there was no text. */
    chat: v.optional(v.picklist(['off', 'on', 'system'])),
    graphOptimization: v.literal('all'),
    threads,
  }),
  /** How each input of the graph was fed; runs that were kept before this was noted have none. */
  inputs: v.optional(v.array(fedInput), () => []),
});
export type StartedEvent = Sent<typeof startedEvent>;

export const tokensEvent = v.object({
  type: v.literal('tokens'),
  /** The tokens that are run, in order; T = tokens.length. */
  tokens: v.array(token),
  /** Tokens of the whole text; more than T when a window was chosen. Undefined: more, and nobody counted them. */
  total: maybe(whole),
  /** Index in the whole text's tokens of the first and after the last one that is run (prefix not counted). */
  window: v.object({ start: whole, end: whole }),
  /** `features`: the model is fed no token ids, so every row of `h_0` is a token and only numbered. */
  source: v.picklist(['text', 'ids', 'feeds', 'features', 'image']),
  /** The picture that tokens with a `region` are parts of. */
  picture: v.optional(
    v.object({ file: text, width: whole, height: whole, /** Steps, in words. */ prepared: v.optional(v.array(text)) }),
  ),
  /** False where no tokenizer was found, so tokens have no text. */
  tokenizer: flag,
});
export type TokensEvent = Sent<typeof tokensEvent>;

const layerEvent = v.object({
  type: v.literal('layer'),
  /** k of `h_k`: 0 is what enters the first block. */
  layer: whole,
  statistics: hiddenState,
});
export type LayerEvent = Sent<typeof layerEvent>;

const attentionEvent = v.object({
  type: v.literal('attention'),
  /** k of the block that leaves `h_k`, 1-based. */
  layer: v.pipe(whole, v.minValue(1)),
  statistics: pattern,
});
export type AttentionEvent = Sent<typeof attentionEvent>;

const crossAttentionEvent = v.object({
  type: v.literal('cross-attention'),
  /** k of the block that leaves `h_k`, 1-based. */
  layer: v.pipe(whole, v.minValue(1)),
  statistics: exactly<CrossStatistics>()(
    v.pipe(
      v.object({ heads: whole, tokens: whole, positions: whole, alpha: float32Array }),
      v.check(
        ({ heads, positions, alpha }) => alpha.length === heads * positions,
        'must have an array as long as there are heads and positions',
      ),
    ),
  ),
});
export type CrossAttentionEvent = Sent<typeof crossAttentionEvent>;
/** In the place of `attention`, of a block whose pattern this run's tensors have, but not over its tokens. */
const patternLeftOutEvent = v.object({
  type: v.literal('pattern-left-out'),
  /** k of the block that leaves `h_k`, 1-based. */
  layer: v.pipe(whole, v.minValue(1)),
  why: text,
});
/** Said once more of a block whose experts made entries that stand out, when all blocks have run. */
const routingEvent = v.object({
  type: v.literal('routing'),
  /** k of the block with experts that leaves `h_k`, 1-based. */
  layer: v.pipe(whole, v.minValue(1)),
  /** Or why the tensors of this run do not tell. */
  found: v.union([routing, v.object({ why: text })]),
});
export type RoutingEvent = Sent<typeof routingEvent>;

export const prediction = v.object({ id: whole, text, probability: real });
export type Prediction = Sent<typeof prediction>;

export const predictionsEvent = v.object({
  type: v.literal('predictions'),
  /** Index of the token after which these would come. */
  token: whole,
  /** Most likely first. */
  top: v.array(prediction),
});
export type PredictionsEvent = Sent<typeof predictionsEvent>;

const outputEntry = v.object({
  /** Index of the column; of `places` that of the token. */
  index: whole,
  /** Name of the class, or text of the token; a number in words where nothing names it. */
  label: text,
  value: real,
  /** Undefined where the values are no scores of classes. */
  probability: maybe(real),
});
export type OutputEntry = Sent<typeof outputEntry>;

const headOutput = v.object({
  /** The graph's own name of it. */
  name: text,
  shape: v.array(whole),
  /**
   * `classes`: scores of classes. `score`: one number. `places`: a score of each token, as where an answer starts.
   * `embedding`: a vector. `values`: columns of which nothing says what they are.
   */
  kind: v.picklist(['classes', 'score', 'places', 'embedding', 'values']),
  /** What told its kind, in words. */
  how: text,
  rows: v.array(
    v.object({
      /** The token it is about; undefined: the whole input. */
      token: maybe(whole),
      /** L2 norm of the row. */
      norm: real,
      /** Largest first; empty for an embedding. */
      top: v.array(outputEntry),
    }),
  ),
});
export type HeadOutput = Sent<typeof headOutput>;

const outputsEvent = v.object({
  type: v.literal('outputs'),
  /** What a head that is no vocabulary's gives, in the order of the file. */
  outputs: v.array(headOutput),
});
export type OutputsEvent = Sent<typeof outputsEvent>;

export const finishedEvent = v.object({
  type: v.literal('finished'),
  seconds: real,
  firstLayerSeconds: real,
  /** Where the tensors asked for were written. */
  saved: v.optional(text),
  /** Of a run that follows an edit: tokens at the beginning that were not run again, and why none can be, where that is so. */
  reused: v.optional(v.object({ tokens: whole, without: maybe(text) })),
});
export type FinishedEvent = Sent<typeof finishedEvent>;

const failedEvent = v.object({ type: v.literal('failed'), problem });
export type FailedEvent = Sent<typeof failedEvent>;

/** What is said of a run that goes on. */
export const runningEvent = v.variant('type', [
  startedEvent,
  deviceEvent,
  tokensEvent,
  layerEvent,
  attentionEvent,
  patternLeftOutEvent,
  crossAttentionEvent,
  routingEvent,
  predictionsEvent,
  outputsEvent,
]);

export const runEvent = v.variant('type', [runningEvent, finishedEvent, failedEvent]);
export type RunEvent = Sent<typeof runEvent>;

/** Write `hidden.k` and `resid_mid.k`, and what is asked for beside them, as float32 safetensors. */
const saveRequest = v.object({ file: path, attention: flag, mlp: flag, logits: flag });
export type SaveRequest = Sent<typeof saveRequest>;

/** What a run is given: exactly one of these. */
export const prompt = v.union(
  [
    /** `beside`: a file as of `feeds`, with tensors for inputs that a text does not fill. */
    v.strictObject({ text, beside: v.optional(path) }),
    v.strictObject({ ids: v.array(v.number()), beside: v.optional(path) }),
    /** A `.safetensors` or `.npz` file with tensors by graph input name; tensors that are no input are ignored. */
    v.strictObject({
      feeds: path,
      /** What tokens of a model that takes no token ids are called, numbered (`node 3`); default `token`. */
      tokenName: v.optional(v.pipe(text, v.minLength(1), v.maxLength(40))),
      /** The axis of `h_0` that counts them, from 0; default: all but the last together. */
      tokenAxis: v.optional(whole),
    }),
    /** A picture file (PNG, JPEG, WebP, GIF, BMP, TIFF), for a model that takes pixels. */
    v.strictObject({ image: path }),
  ],
  'must have exactly one of text, ids, feeds and image',
);

/** Which part to run when the text is longer than the context; undefined: fail with code `too-long`. */
export const part = v.optional(v.union([v.picklist(['first', 'last']), v.object({ start: whole })]));

export const runRequest = v.object({
  /** Path of the `.onnx` file. */
  model: path,
  /** Which of its residual streams; undefined: the one that the prompt fits. */
  stream,
  prompt,
  /** Undefined: as the tokenizer's own post-processing (or the model folder's configuration) says. */
  bos: v.optional(flag),
  lineEnds,
  chat,
  window: part,
  /** Changes to activations, made while the model runs. */
  interventions: v.optional(v.array(intervention)),
  /** Reduce every attention pattern to its sink statistics. */
  attention: flag,
  memory,
  threads,
  save: v.optional(saveRequest),
  /**
   * The text is being edited. Where the model has a cache, what the run before computed of the tokens that both begin
   * with is gone on from; a run that goes on meanwhile is given up for this one, with the code `cancelled`.
   */
  live: v.optional(flag),
});
/** What to run. Plain data; checked by the engine before anything is read. */
export type RunRequest = Sent<typeof runRequest>;
