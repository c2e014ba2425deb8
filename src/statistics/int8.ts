/** What a hidden state costs when it is quantised, and how far two hidden states lie apart. */
import { halfToEven } from './numbers.js';
import type { Int8Errors, StateDifference } from './statistics.js';

/**
 * Errors of symmetric int8 quantisation with scale = largest magnitude ÷ 127 of the whole state, of each token or of
 * each channel (dim), rounded half to even: ‖h − dequantised‖ ÷ ‖h‖, both over the entries with |h| < `limit`.
 *
 * @param values [tokens, dims], row-major; entries that are not finite are left out
 * @param limit from this magnitude on an entry is one of those that are `removed`; Infinity: none is
 */
export function int8Errors(values: Float32Array, tokens: number, dims: number, limit: number): Int8Errors {
  let removed = 0;
  let squares = 0;
  for (const value of values) {
    const magnitude = Math.abs(value);
    if (magnitude < limit) squares += magnitude * magnitude;
    else removed++;
  }
  const norm = Math.sqrt(squares);
  const errors = (bound: number) => ({
    tensor: distance(values, limit, scales(values, 1, dims, bound, all)) / norm,
    token: distance(values, limit, scales(values, tokens, dims, bound, row)) / norm,
    channel: distance(values, limit, scales(values, dims, dims, bound, column)) / norm,
  });
  return { removed, with: errors(Number.POSITIVE_INFINITY), without: errors(limit) };
}

/** Which scale the entry at `i` has. */
type Axis = (i: number, dims: number) => number;
const all: Axis = () => 0;
const row: Axis = (i, dims) => Math.floor(i / dims);
const column: Axis = (i, dims) => i % dims;

interface Scales {
  readonly sizes: Float64Array;
  readonly axis: Axis;
  readonly dims: number;
}

/** From the largest magnitudes below `bound`. */
function scales(values: Float32Array, count: number, dims: number, bound: number, axis: Axis): Scales {
  const sizes = new Float64Array(count);
  values.forEach((value, i) => {
    const magnitude = Math.abs(value);
    const at = axis(i, dims);
    if (magnitude < bound && magnitude > (sizes[at] ?? 0)) sizes[at] = magnitude;
  });
  return { sizes: sizes.map((largest) => (largest > 0 ? largest / 127 : 1)), axis, dims };
}

/** ‖h − dequantised‖ over the entries below `limit`. */
function distance(values: Float32Array, limit: number, { sizes, axis, dims }: Scales): number {
  let squares = 0;
  values.forEach((value, i) => {
    if (!(Math.abs(value) < limit)) return;
    const scale = sizes[axis(i, dims)] ?? 1;
    const error = value - halfToEven(value / scale) * scale;
    squares += error * error;
  });
  return Math.sqrt(squares);
}

/**
 * ‖other − values‖ ÷ ‖values‖ over all entries, and over those with |value| < `limit`.
 *
 * @throws RangeError where they differ in size
 */
export function stateDifference(values: Float32Array, other: Float32Array, limit: number): StateDifference {
  if (values.length !== other.length) throw new RangeError(`${values.length} entries against ${other.length}`);
  let [error, norm, errorRest, normRest] = [0, 0, 0, 0];
  values.forEach((value, i) => {
    const difference = ((other[i] ?? 0) - value) ** 2;
    error += difference;
    norm += value * value;
    if (Math.abs(value) < limit) {
      errorRest += difference;
      normRest += value * value;
    }
  });
  return { all: Math.sqrt(error / norm), rest: Math.sqrt(errorRest / normRest) };
}

/** By dim, how many tokens have |h| ≥ `magnitude` there, [dims]. */
export function countAbove(values: Float32Array, dims: number, magnitude: number): Int32Array {
  const counts = new Int32Array(dims);
  values.forEach((value, i) => {
    if (!(Math.abs(value) >= magnitude)) return;
    const dim = i % dims;
    counts[dim] = (counts[dim] ?? 0) + 1;
  });
  return counts;
}

/** The `count` entries whose |h| lies nearest to `magnitude`, nearest first; ties by index. */
export function nearest(values: Float32Array, magnitude: number, count: number): number[] {
  const found: { readonly index: number; readonly distance: number }[] = [];
  values.forEach((value, index) => {
    const distance = Math.abs(Math.abs(value) - magnitude);
    const worst = found.at(-1);
    if (worst && found.length === count && !(distance < worst.distance)) return;
    let at = found.length;
    while (at > 0 && distance < (found[at - 1]?.distance ?? 0)) at--;
    found.splice(at, 0, { index, distance });
    if (found.length > count) found.pop();
  });
  return found.map(({ index }) => index);
}
