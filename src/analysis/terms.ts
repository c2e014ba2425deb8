/**
 * The terms of this project: names as they are used in code, on screen and in files, with what they mean. docs/terms.md is
 * made of them, and the panel explains them where it uses them. Backquotes are Markdown's.
 */
export const terms: readonly (readonly [names: string, meaning: string])[] = [
  [
    'residual stream',
    'what a chain of residual additions carries, from the embedding to the final norm; a file may have several: two towers, an encoder and its decoder',
  ],
  [
    'hidden states `h_0 … h_L`',
    "`h_0` enters the first block; `h_k` is what block k (from 1) leaves, after its last residual addition and before the final norm. [T, D]: tokens × hidden dimensions. The index is that of Hugging Face's `hidden_states[k]`, except that theirs at k = L is often taken after the final norm; ours never is",
  ],
  [
    '`resid_pre`, `resid_mid`, `resid_post`',
    "TransformerLens' names for the points before attention, between attention and MLP, and after the MLP of a block. Parallel blocks have no `resid_mid`",
  ],
  ['post-norm models', "the residual point is what the next block takes as its skip term, i.e. the norm's output"],
  [
    'pattern',
    'attention probabilities after the softmax, [heads, queries, keys]. More keys than tokens: explicit columns (a k′/v′ pair, a learned sink that is not cut off)',
  ],
  ['MLP intermediate state', 'the input of the down projection, [T, D_mlp]'],
  [
    'mixture of experts',
    'an MLP of E experts, of which a *router* chooses k for each token; what these give is multiplied by *weights* and summed. Experts count from 0',
  ],
  ['load of an expert', 'the share of tokens that were sent to it; the loads of a block add up to k'],
  ['shared expert', 'a part of the mixture that every token passes and no weight of the router multiplies'],
  ['median', 'the lower median of |h| over all T·D entries of a layer, as `torch.median` gives it'],
  ['ratio', '|h| ÷ the median of its layer'],
  ['massive activation', 'an entry with |h| > 100 **and** ratio ≥ 1,000 (arXiv:2402.17762). Both numbers are settings'],
  ['large', 'ratio ≥ 100 (a setting): the softer mark, for quantised, small and explicit-bias models'],
  [
    'magnitudes, surface',
    '|h| over tokens × dims of one layer, or layers × dims of one token. Beyond 192 × 512 cells each is the *largest* of its entries (max pooling), so that no spike vanishes; how many is said above the picture',
  ],
  [
    'pinned run, what moved',
    'a run that is kept in sight, against which the ones after it are held: the difference of two runs, on the tokens that both have',
  ],
  ['onset, last layer', 'the first and the last layer at which an entry is massive (or large)'],
  [
    'alpha',
    'for head h and key k: the mean of A[h, i, k] over the queries i ≥ k (arXiv:2410.10781); over all queries where the model is not causal, and for explicit columns',
  ],
  [
    'attention sink',
    'a token seen by at least 8 queries to which at least one head in ten gives alpha > epsilon = 0.3 (all settings). Falls with T, so T and epsilon are always shown',
  ],
  ['BOS, prefix token', 'what is put before the text. It changes every result, so it is a visible switch and recorded'],
  [
    'cross-attention',
    "attention of a stream's tokens to other states than the stream's, as to an encoder's; no part of sinks",
  ],
  ['learned row', 'a row of the hidden states that is the same whatever is run: a soft prompt, a meta token'],
  [
    'outlier feature',
    'a dimension, not an entry: |x| ≥ 6 among what products with a weight read, in at least 25 % of blocks and at 6 % of positions (LLM.int8(), arXiv:2208.07339); the residual stream itself is larger nearly everywhere and says little of it',
  ],
  [
    'implicit attention bias',
    'the part of attention outputs that chosen (massive) tokens add, Σ p·v over them: a bias where it is nearly the same vector for every query',
  ],
  [
    'gradient, adjoint',
    'what a number changes by with each entry of a hidden state, dL/dh_k; inside a graph, of any value. L2 norms are by token',
  ],
  ['straight-through', 'rounding differentiated as if it were not there (arXiv:1308.3432)'],
  ['participation ratio', '(Σx²)² ÷ Σx⁴ of a vector: 1 for a single spike, D for a flat one'],
  ['logit lens', 'what final norm and unembedding make of an earlier residual point'],
  [
    'direct logit attribution',
    "a logit as the sum of what embedding, attentions and MLPs add to it, the final norm's scale held at its value for the last residual",
  ],
  ['cache', 'keys and values of the tokens behind a sequence, which its next run is fed in place of the tokens'],
  ['surprisal', '−ln p of a token by what comes before it, in nats'],
  [
    'saliency',
    "how much a prediction depends on a token: gradient × input, the sum over dims of h_0 times the derivative of the predicted token's logit by it",
  ],
  [
    'attribution patching',
    "what patching an activation gives back, to first order: (clean − corrupt) × the derivative of the corrupt run's logit difference",
  ],
  [
    'perplexity',
    'e to the mean surprisal of the scored tokens: the model is as unsure as if it chose among so many equally likely ones',
  ],
  [
    'KL divergence',
    "how far one distribution q of the next token (a quantised file's) is from another, p (its model's): Σ p ln(p ÷ q), in nats; 0 where they are the same",
  ],
  [
    'SQNR',
    'signal to quantisation noise of a hidden state in dB, 10 log₁₀(Σx² ÷ Σ(x − x̂)²); cumulative in the whole quantised run, local where what the block takes is the model’s',
  ],
  [
    'super weight',
    "one scalar of an MLP's last weight that alone makes most of a massive activation (arXiv:2411.07191)",
  ],
  [
    'secondary sink',
    'a later token whose hidden state is like that of a massive first token: a cosine above 0.9 in layers where that is massive (arXiv:2512.22213)',
  ],
  ['entropy', "of the next token's distribution, Σ −p ln p, in nats"],
  ['evicted attention', 'attention mass on keys that a sliding window leaves out'],
];

/** A name with what it means, in plain words. */
export interface Term {
  readonly name: string;
  readonly meaning: string;
}

/** Other words for some, as they stand on screen. */
const others: Readonly<Record<string, string>> = {
  α: 'alpha',
  'massive activations': 'massive activation',
  sinks: 'attention sink',
  sink: 'attention sink',
};

const plain = (markdown: string) => markdown.replaceAll('`', '').replaceAll('**', '');

const meanings = new Map(
  terms.flatMap(([names, meaning]) =>
    plain(names)
      .split(', ')
      .map((name) => [name, plain(meaning)] as const),
  ),
);
for (const [other, name] of Object.entries(others)) meanings.set(other, meanings.get(name) ?? '');

/** Longest first, so that what is part of another is not found in its place. */
const pattern = new RegExp(
  `(?<![\\p{L}\\p{N}])(${[...meanings.keys()]
    .sort((a, b) => b.length - a.length)
    .map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('|')})(?![\\p{L}\\p{N}])`,
  'u',
);

/** A text in pieces, every second one of them a term, with its meaning the first time that it is used. */
export function withTerms(text: string): readonly (string | Term)[] {
  const seen = new Set<string>();
  return text.split(pattern).map((piece, index) => {
    const meaning = index % 2 === 1 && !seen.has(piece) ? meanings.get(piece) : undefined;
    seen.add(piece);
    return meaning === undefined ? piece : { name: piece, meaning };
  });
}
