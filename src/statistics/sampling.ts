/** The next token from its logits: the most likely, or one that is drawn. */

export interface Sampling {
  /** What logits are divided by; 0: the most likely token is taken, and nothing else here matters. */
  readonly temperature: number;
  /** Only so many of the most likely are drawn from; 0: all. */
  readonly topK: number;
  /** Only the fewest of the most likely whose probabilities reach this together; 1: all. */
  readonly topP: number;
}

/**
 * The probabilities that a token is drawn with: temperature first, then the k most likely, then, of these, as many as
 * reach p, as transformers' `TemperatureLogitsWarper`, `TopKLogitsWarper` and `TopPLogitsWarper` have it in this order.
 *
 * @returns ids and probabilities, most likely first; of equally likely ones the lower id
 */
export function candidates(logits: Float32Array, { temperature, topK, topP }: Sampling): [id: number, p: number][] {
  const order = mostLikelyFirst(logits);
  const kept = temperature === 0 ? order.subarray(0, 1) : topK > 0 ? order.subarray(0, topK) : order;
  const greatest = logits[kept[0] ?? 0] ?? 0;
  const weights = Float64Array.from(kept, (id) => Math.exp(((logits[id] ?? 0) - greatest) / (temperature || 1)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let reached = 0;
  let count = 0;
  while (count < kept.length && (count === 0 || reached < topP)) reached += (weights[count++] ?? 0) / total;
  const of = weights.slice(0, count).reduce((sum, weight) => sum + weight, 0);
  return Array.from(kept.subarray(0, count), (id, i) => [id, (weights[i] ?? 0) / of]);
}

/** Ids whose logits are numbers, by logit; of equal ones the lower first. */
function mostLikelyFirst(logits: Float32Array): Uint32Array {
  const bits = new Int32Array(Float32Array.from(logits, (logit) => logit + 0).buffer);
  // Numbers that are sorted without a call for each pair: how far a logit is below all others, as its bits order it,
  // and behind that its id, which has 21 bits.
  const keys = new Float64Array(logits.length);
  let count = 0;
  for (let id = 0; id < logits.length; id++) {
    if (Number.isNaN(logits[id])) continue;
    const own = bits[id] ?? 0;
    keys[count++] = (own < 0 ? 2 ** 31 + ((own & 0x7fff_ffff) >>> 0) : 2 ** 31 - 1 - own) * 2 ** 21 + id;
  }
  return Uint32Array.from(keys.subarray(0, count).sort(), (key) => key % 2 ** 21);
}

/** @param random a uniform number in [0, 1), asked for where something is drawn */
export function sampled(logits: Float32Array, sampling: Sampling, random: () => number): number | undefined {
  if (sampling.temperature === 0) return mostLikely(logits);
  const among = candidates(logits, sampling);
  let left = random();
  for (const [id, p] of among) {
    left -= p;
    if (left < 0) return id;
  }
  return among.at(-1)?.[0];
}

/** The first of the most likely; undefined where there is no number. */
function mostLikely(logits: Float32Array): number | undefined {
  let best: number | undefined;
  // With an index, here and below: this is done for every token that is written.
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? Number.NaN;
    if (!Number.isNaN(logit) && (best === undefined || logit > (logits[best] ?? 0))) best = id;
  }
  return best;
}

/** What probabilities are told by, in one pass over a row of logits: softmax in double precision. */
export interface Weighed {
  readonly greatest: number;
  /** Σ exp(logit − greatest). */
  readonly sum: number;
  /** Σ exp(logit − greatest) (logit − greatest). */
  readonly moment: number;
}

export function weighed(logits: Float32Array): Weighed {
  let greatest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] ?? Number.NaN;
    if (logit > greatest) greatest = logit;
  }
  let sum = 0;
  let moment = 0;
  for (let i = 0; i < logits.length; i++) {
    const below = (logits[i] ?? Number.NaN) - greatest;
    const weight = Math.exp(below);
    if (weight === 0) continue;
    sum += weight;
    moment += weight * below;
  }
  return { greatest, sum, moment };
}

/** How unlikely a token was, −ln p, and the entropy of what might have come, both in nats. */
export function surpriseOf(
  logits: Float32Array,
  id: number,
  { greatest, sum, moment }: Weighed = weighed(logits),
): { readonly surprisal: number; readonly entropy: number } {
  const log = Math.log(sum);
  return { surprisal: log - ((logits[id] ?? Number.NaN) - greatest), entropy: log - moment / sum };
}
