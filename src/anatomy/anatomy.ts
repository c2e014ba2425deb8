/**
 * What the parts of a transformer graph are. Found by `recognise` from the flow of data alone.
 *
 * Every tensor named here is a value of the *prepared* graph (see `prepare` in `src/onnx`): functions and
 * constant branches inlined, skip-norms split into their sum and their norm. Names follow `docs/terms.md`.
 */
import type { DataType, Node } from '../onnx/model.js';

export interface Anatomy {
  readonly layers: number;
  /** Hidden size D (d_model). */
  readonly hidden: number | undefined;
  readonly heads: number | undefined;
  readonly kvHeads: number | undefined;
  readonly headDim: number | undefined;
  /** Width of the MLP intermediate state; undefined in mixture-of-experts models. */
  readonly mlpHidden: number | undefined;
  /** Rows of the table that token ids index; without ids, columns of the output head. */
  readonly vocabulary: number | undefined;
  /** Positions the graph's own tables have room for, where it has such tables. */
  readonly context: number | undefined;
  /** Pixels of a patch, where the stream starts from pixels that are cut into patches. */
  readonly patch: { readonly height: number; readonly width: number } | undefined;
  /**
   * True where the stream is kept in copies side by side: [copies, 1, T, D], of which the first is shown, or values of
   * their own, of which that is shown which a block computes with.
   */
  readonly copies: boolean;
  /** What rows of hidden states stand for; undefined where they are the tokens that are fed, one after another. */
  readonly rows: Rows | undefined;
  /** Rows of the last residual that the head gives something for; undefined where that is all, or is not known. */
  readonly headRows: { readonly from: number; readonly to: number | undefined } | undefined;
  /** Values named here of which a token's vector does not lie along the last axis; `withTurns` turns them. */
  readonly turns: readonly Turn[];
  /** True where attention and MLP of a block read the same residual. */
  readonly parallelBlock: boolean;
  /** Where the main path begins: what the token lookup gives, or the float input; before positions are added. */
  readonly source: string;
  /** `h_0`: what enters the first block, [1, T, D] or [T, D]. */
  readonly embedding: string;
  readonly blocks: readonly Block[];
  readonly finalNorm: FinalNorm | undefined;
  /** Undefined where the output head gives no scores over the vocabulary: a classifier's, a projection's. */
  readonly unembedding: Unembedding | undefined;
  /** The graph's first output in the order of the file that depends on the last residual: logits, or what the model gives. */
  readonly output: string;
  /** All outputs that depend on the last residual, that one first. */
  readonly outputs: readonly Output[];
  readonly inputs: readonly Input[];
  /** Parts that were looked for and not found, in words: which, and what stood in the way. */
  readonly missing: readonly Missing[];
}

/**
 * `parts`: tokens that are fed, and learned rows beside them. `inputs`: steps, of each of which several inputs have a row,
 * in turn or all of one input before all of the next.
 */
export type Rows =
  | { readonly kind: 'parts'; readonly parts: readonly RowPart[] }
  | { readonly kind: 'inputs'; readonly names: readonly string[]; readonly inTurn: boolean };

/**
 * Tokens `from` to before `to` (from the end where negative; undefined: to the last), rows that are learned, or the rows of
 * another input: as many as it is given with, or `count`, where they are made of it as patches are of a picture.
 */
export type RowPart =
  | { readonly kind: 'tokens'; readonly from: number; readonly to: number | undefined }
  | { readonly kind: 'added'; readonly count: number }
  | { readonly kind: 'input'; readonly name: string; readonly count?: number };

/** Along which axis the vectors of a value lie, of how many. */
export interface Turn {
  readonly value: string;
  readonly axis: number;
  readonly rank: number;
}

export interface Block {
  /** What this block leaves: `h_k` for block k (1-based), i.e. TransformerLens' `resid_post`. */
  readonly residPost: string;
  /** Between attention and MLP; undefined in parallel blocks and in blocks with one branch. */
  readonly residMid: string | undefined;
  readonly attention: Attention | undefined;
  /** Attention to states that are no tokens of the stream, as to an encoder's: [1, heads, T, positions of those states]. */
  readonly cross: Attention | undefined;
  /** Input of the down projection, [1, T, D_mlp] up to leading axes. */
  readonly mlpIntermediate: string | undefined;
  /** What the one branch that does not attend adds to the residual: an MLP, a mixture of experts. */
  readonly mlpOutput: string | undefined;
  /** Of a mixture of experts, where it could be followed. */
  readonly routing: Routing | undefined;
  /** True where the block adds what its attention gives and then what its MLP gives, and does nothing else. */
  readonly additive: boolean;
  /** True where the file tells that keys are made of several tokens each: columns of the pattern are no tokens. */
  readonly mixedKeys: boolean;
}

/** How a mixture of experts sends tokens to a few of its experts. */
export interface Routing {
  /** E; undefined where the file does not tell. */
  readonly experts: number | undefined;
  /** k: to how many of them each token is sent; undefined where the file does not tell. */
  readonly chosen: number | undefined;
  /** Values of the graph, or hidden in an operator and rebuilt by `withRoutings`. */
  readonly from: RoutingValues | { readonly operator: Node };
  /** What the weights multiply: what the chosen experts give, or what they read (Llama 4). */
  readonly multiplies: 'outputs' | 'inputs';
  /**
   * What the last product of the experts multiplies, row by row: [T · k, F], of each token the chosen ones in their
   * order, or with `ofAll` [E · T, F], all experts one after another. Undefined where each expert has its own, of the
   * tokens that are sent to it, or where it is inside an operator.
   */
  readonly intermediate: { readonly tensor: string; readonly ofAll: boolean } | undefined;
  /**
   * For how many experts a loop over those that tokens are sent to was written out when the file was made: it fails
   * where the tokens of a run use another number of them. Undefined where there is no such loop.
   */
  readonly writtenOutFor: number | undefined;
  /** Whether what no number of the router weighs is added: a shared expert, which every token passes. */
  readonly shared: boolean;
}

export interface RoutingValues {
  /** Which experts, [..., T, k], integers. */
  readonly indices: string;
  /** The axis of `indices` that counts the chosen, as its operator states it. */
  readonly axis: number;
  /** With what weights: [..., T, k] in the same order, or with `ofAll` [..., T, E], zero for those that are not chosen. */
  readonly weights: string;
  readonly ofAll: boolean;
  /** Whether the experts come first in `weights`, [E, T]. */
  readonly turned: boolean;
  /** The router's probabilities of all experts, [..., T, E]: by a softmax, or each by itself; undefined where it makes none. */
  readonly scores: { readonly value: string; readonly kind: 'softmax' | 'sigmoid' } | undefined;
}

export interface Attention {
  /**
   * Where the pattern (what values are weighed by, [1, heads, T, keys] up to leading axes) is: a value of the graph,
   * values that `withPatterns` joins, or hidden in an operator and rebuilt by `withPatterns`.
   */
  readonly pattern:
    | { readonly tensor: string }
    | { readonly parts: readonly PatternPart[] }
    | { readonly operator: Node };
  readonly weighting: Weighting;
  /** What the branch adds to the residual, after its output projection; undefined where it is summed with another. */
  readonly output: string | undefined;
  /** What queries are projected from: the norm's output in a pre-norm model, the latent where queries have one. */
  readonly normed: string | undefined;
  /** The other factor of the scores' product, [1, heads, T, head_dim]; rebuilt with `keys` and `values` where they are. */
  readonly queries: string | undefined;
  /**
   * What the scores' product multiplies the queries by: [1, key/value heads or heads, head_dim, keys] or with its last
   * two axes exchanged. With a pattern hidden in an operator `keys` and `values` are rebuilt by `withPatterns`.
   */
  readonly keys: string | undefined;
  /** What the pattern weighs, [1, key/value heads or heads, keys, head_dim]. */
  readonly values: string | undefined;
  /** Pattern times values, [1, heads, T, head_dim] or [1, T, heads · head_dim]. */
  readonly weighed: string | undefined;
  /** What the output projection makes of that, [1, T, D]. */
  readonly projected: string | undefined;
  /** Activations of edges that are added to the scores (graph transformers), [T, T, heads] in some order of axes. */
  readonly edges: string | undefined;
  readonly heads: number | undefined;
  readonly kvHeads: number | undefined;
  readonly headDim: number | undefined;
}

/** A value that holds the pattern of some heads, one after another in order, in a form of its own. */
export interface PatternPart {
  readonly tensor: string;
  /**
   * How its axes are exchanged to be [..., heads, queries, keys]; undefined where they are so. Three axes are the last
   * two and, before them, all others as one.
   */
  readonly perm: readonly number[] | undefined;
  /** What values weighed by it are divided by afterwards, [..., heads, queries, 1]. */
  readonly divisor: string | undefined;
  /** The keys and the values of these heads, as `Attention` has them; no values where they are several for each weight. */
  readonly keys: string | undefined;
  readonly values: string | undefined;
}

/**
 * How scores become weights: by a softmax (weights of a query add up to 1 unless a sink takes some), each by itself (a
 * sigmoid, a ReLU), or by something else (heads mixed afterwards, a few chosen, another normalisation).
 */
export type Weighting = 'softmax' | 'elementwise' | 'other';

export interface FinalNorm {
  readonly output: string;
}

export interface Unembedding {
  /** What the output head multiplies: the final norm's output, or the last residual where there is no norm. */
  readonly input: string;
  /** Scores over the vocabulary, [1, T, V]. */
  readonly logits: string;
}

export interface Output {
  readonly name: string;
  /** Columns of the product with a weight that it ends in, where the file tells. */
  readonly columns: number | undefined;
  /** What the graph itself makes: `probabilities` by a softmax or sigmoid, a vector of length one, the normed residual. */
  readonly made: 'probabilities' | 'unit' | 'states' | undefined;
}

/** How a graph input is fed. `tokens` etc. are [batch 1, T] unless `shape` says otherwise. */
export type InputRole =
  | 'token-ids'
  | 'codes' // ids of several tables, several for each token: the user gives them
  | 'position-ids' // 0 … T-1
  | 'attention-mask' // what masks nothing: ones, or zeros in a mask that is true where a token is to be ignored
  | 'pair-mask' // which tokens each token sees: the user gives it
  | 'token-type-ids' // zeros
  | 'coordinates' // places of tokens, looked up in tables: zeros
  | 'lengths' // the number of tokens, of each example: T
  | 'choice' // one number for the whole run, as of a task, a language or a prefix's length: the user gives it
  | 'cache-position' // 0 … T-1, rank 1
  | 'past' // key/value cache of length zero (or zeros of the window's length where the model refuses an empty one)
  | 'state' // what a recurrence or a convolution keeps of earlier tokens: zeros
  | 'past-length' // a scalar or [1] zero: tokens already in the cache
  | 'last-key-index' // GroupQueryAttention's seqlens_k: T - 1
  | 'total-length' // GroupQueryAttention's total_sequence_length: T
  | 'kept-rows' // of how many tokens, the last ones, there are logits: T
  | 'flag' // a boolean that chooses a branch: false
  | 'features' // floats the user gives: pixels, embeddings, node features
  | 'order' // noise that patches are sorted by: ascending for a picture, else given by the user
  | 'unused' // nothing that leads to the output reads it: not fed
  | 'unknown';

export interface Input {
  readonly name: string;
  readonly role: InputRole;
  readonly type: DataType;
  readonly shape: readonly (number | string | null)[] | undefined;
  /** For `past`: the axis of length zero. For sequence inputs: the axis that counts tokens. */
  readonly tokenAxis: number | undefined;
  /** Extents that the file leaves open or states wrongly, known from the graph (head size of a cache), by axis. */
  readonly extents: Readonly<Record<number, number>>;
  /** The input whose tokens it follows, where these are not the stream's: ids of an encoder. */
  readonly along: string | undefined;
  /** Of a mask: the value that masks nothing. */
  readonly keeps: 0 | 1 | undefined;
  /** In words, how it is recognised and fed. */
  readonly how: string;
  /** Whether that is a choice: the graph allows another reading, or several fit it. */
  readonly guessed: boolean;
}

export interface Missing {
  readonly part: string;
  readonly why: string;
}
