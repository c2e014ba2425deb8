/** Questions about the inside of a finished run and their answers, as plain data that crosses process borders. */

/** Asks about one block; the chosen keys are tokens, or the columns that belong to no token. */
export interface BiasQuery {
  readonly type: 'bias';
  /** Block k, 1-based. */
  readonly layer: number;
  readonly tokens: readonly number[] | 'extra';
}

/** Norms and directions of the vectors [queries, width] that a part of the keys adds, one vector for each query. */
export interface Update {
  /** Mean L2 norm over queries. */
  readonly norm: number;
  /** Mean cosine similarity over all pairs of different queries: 1 where all get the same vector, up to its length. */
  readonly cosine: number;
}

/** Means over the chosen tokens or keys, and over all others; NaN where there are none. */
export type Pair = readonly [chosen: number, others: number];

export interface BiasAnswer {
  /** The queries that count: those after the last chosen key, and never the first, which sees itself alone. */
  readonly counted: { readonly from: number; readonly queries: number };
  /** By head: attention on the chosen keys, averaged over these queries, and the value updates Σ p·v. */
  readonly heads: readonly { readonly share: number; readonly chosen: Update; readonly rest: Update }[];
  /** All heads together, through the output projection (without its bias); undefined where that was not found. */
  readonly projected: { readonly chosen: Update; readonly rest: Update } | undefined;
  /** (Σx²)² ÷ Σx⁴ of what enters the block and of the norm's output: 1 for one spike, D for a flat vector. */
  readonly participation: { readonly input: Pair; readonly normed: Pair | undefined };
  /** L2 norms. */
  readonly norms: { readonly input: Pair; readonly normed: Pair | undefined };
  /** L2 norms by head (of keys and values: a group of heads may share them), keys as the scores' product reads them. */
  readonly keyNorm: readonly Pair[] | undefined;
  readonly valueNorm: readonly Pair[];
}

export interface AttributionQuery {
  readonly type: 'attribution';
  /** Token after which the logit is given. */
  readonly token: number;
  /** Id of the token whose logit it is; undefined: the most likely. */
  readonly target?: number;
}

export type PartName = 'embedding' | 'attention' | 'mlp' | 'block' | 'bias' | 'rest';

/** `block` 1-based, for what belongs to one. */
export interface Part {
  readonly part: PartName;
  readonly block?: number;
  readonly logit: number;
}

export interface AttributionAnswer {
  readonly token: number;
  readonly target: { readonly id: number; readonly text: string };
  readonly logit: number;
  /**
   * They sum to the logit. `bias`: of final norm and unembedding. `block`: attention and MLP of a block that cannot be
   * told apart. `rest`: what is left where the head is not linear (a soft cap, activations rounded to integers).
   */
  readonly parts: readonly Part[];
}

/** What a query sees of what the model lets it see: `window` keys in all, its own included, `sinks` of them the first. */
export interface AttentionWindow {
  readonly window: number;
  readonly sinks: number;
}

/** Logit lens over all tokens: what final norm and unembedding make of h_`layer`, or of the point inside block `layer`. */
export interface LensQuery {
  readonly type: 'lens-rows';
  readonly layer: number;
  readonly point: 'resid_post' | 'resid_mid';
  /** How many predictions of each token. */
  readonly top: number;
}

/** By token, most likely first. */
export interface LensAnswer {
  readonly rows: readonly (readonly { readonly id: number; readonly text: string; readonly probability: number }[])[];
}

/** Attention mass that windows leave out. */
export interface EvictedQuery {
  readonly type: 'evicted';
  readonly layer: number;
  readonly windows: readonly AttentionWindow[];
}

export interface EvictedAnswer {
  /** By window and head. */
  readonly shares: readonly (readonly number[])[];
}

/** Every entry of h_`layer`, or of what block `layer` adds to its scores for pairs of nodes: for graphs, which are small. */
export interface EntriesQuery {
  readonly type: 'entries';
  readonly layer: number;
  readonly of: 'nodes' | 'edges';
}

/** What the model gives for the whole input: pooled or not, before any softmax. */
export interface OutputQuery {
  readonly type: 'output';
}

export type Question = BiasQuery | AttributionQuery | LensQuery | EvictedQuery | EntriesQuery | OutputQuery;

export interface QuestionAnswers {
  readonly bias: BiasAnswer;
  readonly attribution: AttributionAnswer;
  readonly 'lens-rows': LensAnswer;
  readonly evicted: EvictedAnswer;
  readonly entries: { readonly values: Float32Array };
  readonly output: { readonly shape: readonly number[]; readonly values: Float32Array };
}
