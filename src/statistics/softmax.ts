/** Softmax over a vocabulary, in double precision at a fraction of `Math.exp`'s cost. */

/** 2^(i / 2048), and powers of two from 2^-1024 on. */
const bits = 11;
const steps = 2 ** bits;
const fractions = Float64Array.from({ length: steps }, (_, i) => 2 ** (i / steps));
const powers = Float64Array.from({ length: 2048 }, (_, i) => 2 ** (i - 1024));
const toSteps = steps / Math.LN2;
const fromSteps = Math.LN2 / steps;
const zero = 1024 * steps;

/** exp(x) is between the smallest and largest double for |x| below this. */
const range = 700;

/**
 * ln Σ exp(logits), to 1e-11.
 *
 * exp(x) is taken apart as 2^k · 2^(i/2048) · exp(r) with r < ln 2 / 2048, of which three terms of the series are exact
 * to 7e-12. Logits need not be shifted by their maximum first, because a double has room for what they are in practice.
 */
export function logSumExp(logits: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i];
    if (logit < -range) continue;
    const scaled = logit * toSteps + zero;
    const whole = scaled | 0;
    const r = (scaled - whole) * fromSteps;
    sum += fractions[whole & (steps - 1)] * powers[whole >> bits] * (1 + r * (1 + r * 0.5));
  }
  return sum > 0 && sum < Number.POSITIVE_INFINITY ? Math.log(sum) : shifted(logits);
}

/** For logits beyond that range, NaN among them. */
function shifted(logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  return Math.log(sum) + max;
}
