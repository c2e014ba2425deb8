/** Shapes of the numbers that are computed next to the tensors and travel in their place. */

/** One entry of a hidden state. */
export interface Entry {
  readonly value: number;
  readonly token: number;
  readonly dim: number;
}

/** One hidden state `h_k` [T, D], reduced. Magnitudes are |h|. */
export interface HiddenStatistics {
  readonly tokens: number;
  readonly dims: number;
  /** The 16 (or T·D if fewer) entries of largest magnitude, largest first; ties by token, then dim. */
  readonly top: readonly Entry[];
  /** Lower median of |h| over the whole state, as `torch.median` gives it. */
  readonly median: number;
  /** L2 norm of each token's vector, [T]. */
  readonly tokenNorm: Float32Array;
  /** Largest |h| of each token, [T]. */
  readonly tokenMax: Float32Array;
  /** The dimension it is at, [T]. */
  readonly tokenMaxDim: Int32Array;
  /** Largest |h| of each dimension over tokens, [D]. */
  readonly dimMax: Float32Array;
  /** NaN or infinite entries; they count in no other number. */
  readonly nonFinite: number;
}

/**
 * One layer's attention patterns [heads, T, keys], reduced.
 *
 * `alpha[h * tokens + k]` is the mean of A[h, i, k] over the queries i ≥ k (Gu et al., arXiv:2410.10781, with
 * k 0-based: T - k rows); over all queries where the pattern is not causal.
 */
export interface PatternStatistics {
  readonly heads: number;
  readonly tokens: number;
  readonly alpha: Float32Array;
  /** No weight above the diagonal. */
  readonly causal: boolean;
  /** Columns beyond the tokens' own (an explicit k′/v′ column, a learned sink) and the mean each head gives them, [heads]. */
  readonly extra:
    | { readonly side: 'first' | 'last'; readonly columns: number; readonly alpha: Float32Array }
    | undefined;
}

/**
 * One layer's patterns of attention to other states, [heads, tokens, positions], reduced.
 *
 * `alpha[h * positions + k]` is the mean of A[h, i, k] over all tokens i: how much of a head's attention position k of
 * those states gets. No token of the stream is meant, so it is no sink of the stream's.
 */
export interface CrossStatistics {
  readonly heads: number;
  readonly tokens: number;
  readonly positions: number;
  readonly alpha: Float32Array;
}

/** Which experts of one block's mixture the tokens were sent to; of each token the one of the largest weight first. */
export interface RoutingStatistics {
  readonly tokens: number;
  /** E. */
  readonly experts: number;
  /** k: to how many each token was sent. */
  readonly chosen: number;
  /** Which, counted from 0, [T, k]. */
  readonly indices: Int32Array;
  /** What multiplied their outputs, or, where `multiplies` says so, what they read, [T, k]. */
  readonly weights: Float32Array;
  readonly multiplies: 'outputs' | 'inputs';
  /** The router's probabilities of all experts, [T, E]: of a softmax, or each of a sigmoid; undefined where it makes none. */
  readonly scores: { readonly kind: 'softmax' | 'sigmoid'; readonly values: Float32Array } | undefined;
  /** Largest |a| of the intermediate state of each chosen expert, [T, k]; undefined where it cannot be had. */
  readonly largest: Float32Array | undefined;
  /** Of entries of h_k that stand out and that this block made; undefined where that was not looked into. */
  readonly made?: readonly ExpertsEntry[] | undefined;
}

/** An entry of h_k, and what each of its token's experts added to it, [k], in the order of {@link RoutingStatistics}. */
export interface ExpertsEntry {
  readonly token: number;
  readonly dim: number;
  readonly made: Float32Array;
}

/** Relative errors of int8 quantisation, by what shares a scale. */
export interface Int8Error {
  readonly tensor: number;
  readonly token: number;
  readonly channel: number;
}

/** Of the entries that are not removed: with the removed ones in the state when it is quantised, and without. */
export interface Int8Errors {
  readonly removed: number;
  readonly with: Int8Error;
  readonly without: Int8Error;
}

/** Relative difference of two hidden states: over all entries, and over those that do not stand out. */
export interface StateDifference {
  readonly all: number;
  readonly rest: number;
}
