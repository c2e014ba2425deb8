/** What a tensor costs when it is rounded to 8 bits before a product: one pass for its extent, one for the errors. */
import { halfToEven } from './numbers.js';

/** Of two ways to scale: one scale for all rows, and one for each (of a token). */
export interface ByScale {
  readonly tensor: number;
  readonly token: number;
}

export interface RoundingCosts {
  /**
   * Symmetric int8, scale = largest magnitude ÷ 127, rounded half to even: ‖x − dequantised‖ ÷ ‖x‖. NaN where all is 0.
   */
  readonly int8: ByScale;
  /** Share of all entries that are not 0 and become 0. */
  readonly underflow: ByScale;
  /** The largest of the rows' largest magnitudes ÷ their lower median. */
  readonly dispersion: number;
  /** E(x − μ)⁴ ÷ σ⁴ − 3 over all entries. */
  readonly kurtosis: number;
}

/**
 * @param values [rows, dims], row-major; entries that are not finite are left out
 * @param rowMax largest finite magnitude of each row
 */
export function roundingCosts(values: Float32Array, rowMax: Float32Array, dims: number): RoundingCosts {
  const rows = rowMax.length;
  const largest = rowMax.reduce((most, one) => Math.max(most, one), 0);
  let [count, sum] = [0, 0];
  for (const value of values)
    if (Number.isFinite(value)) {
      count++;
      sum += value;
    }
  const mean = sum / count;
  const scale = stepOf(largest);
  let [norm, second, fourth] = [0, 0, 0];
  const errors = { tensor: 0, token: 0 };
  const lost = { tensor: 0, token: 0 };
  for (let row = 0, i = 0; row < rows; row++) {
    const own = stepOf(rowMax[row] ?? 0);
    for (let dim = 0; dim < dims; dim++, i++) {
      const value = values[i] ?? 0;
      if (!Number.isFinite(value)) continue;
      norm += value * value;
      const square = (value - mean) ** 2;
      second += square;
      fourth += square * square;
      const whole = halfToEven(value / scale);
      const each = halfToEven(value / own);
      errors.tensor += (value - whole * scale) ** 2;
      errors.token += (value - each * own) ** 2;
      if (value === 0) continue;
      if (whole === 0) lost.tensor++;
      if (each === 0) lost.token++;
    }
  }
  return {
    int8: { tensor: Math.sqrt(errors.tensor / norm), token: Math.sqrt(errors.token / norm) },
    underflow: { tensor: lost.tensor / count, token: lost.token / count },
    dispersion: largest / ([...rowMax].sort((a, b) => a - b)[(rows - 1) >> 1] ?? Number.NaN),
    kurtosis: fourth / count / (second / count) ** 2 - 3,
  };
}

const stepOf = (largest: number) => (largest > 0 ? largest / 127 : 1);
