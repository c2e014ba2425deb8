/**
 * Hidden states in a few numbers, as nodes of the graph that makes them: what `src/statistics/hidden.ts` computes, where
 * the tensors are. All states of a batch are reduced as one tensor [points, T, D].
 *
 * The median is found bit by bit, from the largest power of two that is not above it on: each step counts the entries
 * below a bound, over D first and then over T, so that many are added at once. All bounds are sums of powers of two, so
 * that they are exact, and so is the median. The largest entries lie in the rows that have the largest, which are given
 * as they are.
 */
import { DataType } from '../../../onnx/model.js';
import { largestEntries } from '../../../statistics/hidden.js';
import type { Entry, HiddenStatistics } from '../../../statistics/statistics.js';
import { filled, type Values } from '../../tensors/value.js';
import type { JoinedParts, Reducing } from './reducing.js';

/** Entries whose counts are exact in single precision. */
export const mostCounted = 2 ** 24;
/** Bytes of the states that are reduced as one tensor: as much as any graphics processor binds at once. */
const batchBytes = 2 ** 27;
/** Rows among which the largest entries are. */
const rowsGiven = 16;
const exponentBits = [64, 32, 16, 8, 4, 2, 1];
const mantissaBits = 23;
const smallestNormal = 2 ** -126;
/** From here on squares may be too small for single precision. */
const smallSquares = 1e-12;

/** What the nodes are fed: how many rows come back. */
const rowCount = 'sinkscope/reduced/rows';

/** Extents of the states. */
export interface Extents {
  readonly tokens: number;
  readonly dims: number;
}

const rowsOf = ({ tokens }: Extents) => Math.min(rowsGiven, tokens);

/** Points that are reduced together, in their order. */
export function batchesOf<T>(points: readonly T[], { tokens, dims }: Extents): T[][] {
  const most = Math.max(1, Math.floor(batchBytes / (4 * tokens * dims)));
  const count = Math.ceil(points.length / most);
  const size = Math.ceil(points.length / count);
  return Array.from({ length: count }, (_, i) => points.slice(i * size, (i + 1) * size));
}

/** What {@link stateNodes} is fed. */
export const statesFed = (extents: Extents): Values =>
  new Map([[rowCount, filled(DataType.int64, [1], () => rowsOf(extents))]]);

/**
 * @param states names of values [..., T, D], rows in all but the last axis
 * @returns names of what {@link statesIn} reads, in order
 */
export function stateNodes(build: Reducing, states: readonly string[], dims: number): string[] {
  const each = states.map((state) => build.reshape(build.float32(state), [1, -1, dims]));
  const all = each.length === 1 ? (each[0] ?? '') : build.node('Concat', each, { axis: 0 });
  const magnitudes = build.node('Abs', [all]);
  const tokenMax = build.reduce('ReduceMax', magnitudes, [2]);
  // Of equal ones the first.
  const isLess = build.less(magnitudes, build.reshape(tokenMax, [0, 0, 1]));
  const places = build.floats(Array.from({ length: dims }, (_, dim) => dim));
  const tokenMaxDim = build.reduce('ReduceMin', build.where(isLess, build.float(dims), places), [2]);
  const rows = each.map((state, point) => {
    const [, indices = ''] = build.several('TopK', [build.slice(tokenMax, 0, point, point + 1), rowCount], 2);
    return build.node('Gather', [build.reshape(state, [-1, dims]), indices]);
  });
  return [
    build.reduce('ReduceL2', all, [2]),
    tokenMax,
    tokenMaxDim,
    build.reduce('ReduceMax', magnitudes, [1]),
    medians(build, magnitudes, dims),
    ...rows,
  ];
}

/** The lower medians of magnitudes [points, T, D], [points, 1, 1]. */
function medians(build: Reducing, magnitudes: string, dims: number): string {
  const tokens = build.extentOf(magnitudes, 1);
  const entries = build.times(build.counted(tokens, build.sum(tokens, build.ints([1]))), build.float(dims));
  // As many as this, or half an entry more, are not above the median; exact, for there are not more than 2^24.
  const rank = build.times(build.sum(entries, build.float(-1)), build.float(0.5));
  /** Whether the median is below a bound. */
  const isBelow = (bound: string) => {
    const ones = build.float32(build.less(magnitudes, bound));
    const count = build.reduce('ReduceSum', build.reduce('ReduceSum', ones, [2]), [1]);
    return build.less(rank, build.reshape(count, [-1, 1, 1]));
  };
  let bound = build.float(2);
  for (const bits of exponentBits)
    bound = build.times(bound, build.where(isBelow(bound), build.float(2 ** -bits), build.float(2 ** bits)));
  const power = build.where(isBelow(bound), build.times(bound, build.float(0.5)), bound);
  // Below the smallest normal number bits begin at its place, and there is none before.
  const isTiny = build.less(power, build.float(smallestNormal));
  const first = build.where(isTiny, build.float(smallestNormal), power);
  let median = build.where(isTiny, build.float(0), power);
  for (let bit = 1; bit <= mantissaBits; bit++) {
    const next = build.sum(median, build.times(first, build.float(2 ** -bit)));
    median = build.where(isBelow(next), median, next);
  }
  return median;
}

/**
 * Statistics of the points of a batch; undefined for one whose numbers the graph cannot have right: entries that are not
 * finite, or so large or small that squares leave single precision, or that a processor may take for zero.
 */
export function statesIn(parts: JoinedParts, points: number, extents: Extents): (HiddenStatistics | undefined)[] {
  const { tokens, dims } = extents;
  const rows = rowsOf(extents);
  const norms = parts.take(points * tokens);
  const maxima = parts.take(points * tokens);
  const maxDims = parts.take(points * tokens);
  const dimMaxima = parts.take(points * dims);
  const medians = parts.take(points);
  const given = parts.take(points * rows * dims);
  return Array.from({ length: points }, (_, point) => {
    const part = <T extends Float32Array>(values: T, length: number) =>
      values.slice(point * length, (point + 1) * length);
    const [tokenNorm, tokenMax] = [part(norms, tokens), part(maxima, tokens)];
    const median = medians[point] ?? Number.NaN;
    const top = topOf(part(given, rows * dims), tokenMax, dims);
    const isRight =
      top !== undefined &&
      tokenNorm.every(Number.isFinite) &&
      tokenMax.every((max) => max === 0 || max >= smallSquares) &&
      (median === 0 || median >= smallestNormal);
    if (!isRight) return undefined;
    const found: HiddenStatistics = {
      tokens,
      dims,
      top,
      median,
      tokenNorm,
      tokenMax,
      tokenMaxDim: Int32Array.from(part(maxDims, tokens)),
      dimMax: part(dimMaxima, dims),
      nonFinite: 0,
    };
    return found;
  });
}

/**
 * The largest entries of a state, from its rows with the largest maxima, of equal ones the first; undefined where these
 * are other rows.
 */
function topOf(given: Float32Array, maxima: Float32Array, dims: number): Entry[] | undefined {
  const chosen = [...maxima.keys()]
    .sort((a, b) => (maxima[b] ?? 0) - (maxima[a] ?? 0) || a - b)
    .slice(0, given.length / dims);
  const order = [...chosen.keys()].sort((a, b) => (chosen[a] ?? 0) - (chosen[b] ?? 0));
  const sorted = new Float32Array(given.length);
  for (const [row, from] of order.entries()) {
    const values = given.subarray(from * dims, (from + 1) * dims);
    const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    if (largest !== maxima[chosen[from] ?? 0]) return undefined;
    sorted.set(values, row * dims);
  }
  return largestEntries(sorted, chosen.length, dims).map(({ value, token, dim }) => ({
    value,
    token: chosen[order[token] ?? 0] ?? 0,
    dim,
  }));
}
