/** The gamma distribution, as far as it is fitted here. */

/** Density ∝ (x − shift)^(shape − 1) · e^(−(x − shift) / scale) above `shift`. */
export interface Gamma {
  readonly shape: number;
  readonly scale: number;
  readonly shift: number;
}

/**
 * Fits a gamma distribution whose support begins at `shift`, below every value: the closed-form estimators of Ye and
 * Chen (The American Statistician 71, 2017), close to maximum likelihood.
 */
export function fitGamma(values: ArrayLike<number>, shift: number): Gamma {
  const count = values.length;
  let [sum, logs, products] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const x = (values[i] ?? 0) - shift;
    const log = Math.log(x);
    sum += x;
    logs += log;
    products += x * log;
  }
  const scale = (count * products - logs * sum) / count ** 2;
  return { shape: sum / count / scale, scale, shift };
}

/** The value below which a share `p` of the distribution lies, 0 < p < 1. */
export function gammaQuantile({ shape, scale, shift }: Gamma, p: number): number {
  let [low, high] = [0, shape + 1];
  while (lowerGamma(shape, high) < p) high *= 2;
  for (let step = 0; step < 200 && high - low > 1e-14 * high; step++) {
    const middle = (low + high) / 2;
    if (lowerGamma(shape, middle) < p) low = middle;
    else high = middle;
  }
  return shift + (scale * (low + high)) / 2;
}

/** Regularised lower incomplete gamma function P(a, x), by its power series (DLMF 8.11.4). */
export function lowerGamma(a: number, x: number): number {
  if (x <= 0) return 0;
  let term = 1 / a;
  let sum = term;
  for (let n = 1; term > 1e-17 * sum; n++) {
    term *= x / (a + n);
    sum += term;
  }
  return Math.min(1, sum * Math.exp(a * Math.log(x) - x - logGamma(a)));
}

/** ln Γ(a) for a > 0: Stirling's series (DLMF 5.11.1), after shifting a to where it is exact in double precision. */
function logGamma(a: number): number {
  let [z, shifted] = [a, 0];
  for (; z < 15; z++) shifted += Math.log(z);
  const terms = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188];
  const series = terms.reduce((sum, term, i) => sum + term / z ** (2 * i + 1), 0);
  return (z - 0.5) * Math.log(z) - z + Math.log(2 * Math.PI) / 2 + series - shifted;
}
