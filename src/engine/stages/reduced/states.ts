/**
 * Hidden states in a few numbers, as nodes of the graph that makes them: what `src/statistics/hidden.ts` computes, where
 * the tensors are. All states of a batch are reduced as one tensor [points, T, D]. The largest entries lie in the rows
 * that have the largest, of each of which the largest are given.
 */
import { DataType } from '../../../onnx/model.js';
import type { Entry, HiddenStatistics } from '../../../statistics/statistics.js';
import { filled, type Values } from '../../tensors/value.js';
import { type Extents, mediansOf, smallestNormal } from './medians.js';
import type { JoinedParts, Reducing } from './reducing.js';

/** Entries whose counts are exact in single precision. */
export const mostCounted = 2 ** 24;
/** Bytes of the states that are reduced as one tensor: as much as any graphics processor binds at once. */
const batchBytes = 2 ** 27;
/** Of the largest entries there are as many; they are in as many rows, and no more of them in one. */
const largest = 16;
/** From here on squares may be too small for single precision. */
const smallSquares = 1e-12;

/** What the nodes are fed: how many rows come back. */
const rowCount = 'sinkscope/reduced/rows';

const rowsOf = ({ tokens }: Extents) => Math.min(largest, tokens);
const entriesOf = (dims: number) => Math.min(largest, dims);

/** Points that are reduced together, in their order. */
export function batchesOf<T>(points: readonly T[], { tokens, dims }: Extents): T[][] {
  const most = Math.max(1, Math.floor(batchBytes / (4 * tokens * dims)));
  const count = Math.ceil(points.length / most);
  const size = Math.ceil(points.length / count);
  return Array.from({ length: count }, (_, i) => points.slice(i * size, (i + 1) * size));
}

/** What {@link stateNodes} is fed in a graph of this opset. */
export const statesFed = (extents: Extents, opset: number): Values =>
  new Map([[rowCount, filled(DataType.int64, [1], () => rowsOf(extents))], ...mediansOf(opset).fed(extents)]);

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
  const given = rows.length === 1 ? (rows[0] ?? '') : build.node('Concat', rows, { axis: 0 });
  const [, indices = ''] = build.several('TopK', [build.node('Abs', [given]), build.ints([entriesOf(dims)])], 2);
  const inRows = (value: string) => build.node('GatherElements', [value, indices], { axis: -1 });
  return [
    build.reduce('ReduceL2', all, [2]),
    tokenMax,
    tokenMaxDim,
    build.reduce('ReduceMax', magnitudes, [1]),
    ...mediansOf(build.opset).nodes(build, magnitudes, states.length, dims),
    inRows(given),
    inRows(build.node('Expand', [places, build.node('Shape', [given])])),
  ];
}

/**
 * Statistics of the points of a batch; undefined for one whose numbers the graph cannot have right: entries that are not
 * finite, or so large or small that squares leave single precision, or that a processor may take for zero.
 */
export function statesIn(
  parts: JoinedParts,
  points: number,
  extents: Extents,
  opset: number,
): (HiddenStatistics | undefined)[] {
  const { tokens, dims } = extents;
  const rows = rowsOf(extents);
  const norms = parts.take(points * tokens);
  const maxima = parts.take(points * tokens);
  const maxDims = parts.take(points * tokens);
  const dimMaxima = parts.take(points * dims);
  const medians = mediansOf(opset).read(parts, points, extents);
  const entries = rows * entriesOf(dims);
  const [values, valueDims] = [parts.take(points * entries), parts.take(points * entries)];
  return Array.from({ length: points }, (_, point) => {
    const part = <T extends Float32Array>(values: T, length: number) =>
      values.slice(point * length, (point + 1) * length);
    const [tokenNorm, tokenMax] = [part(norms, tokens), part(maxima, tokens)];
    const median = medians[point] ?? Number.NaN;
    const top = topOf(part(values, entries), part(valueDims, entries), rows, tokenMax);
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
 * The largest entries of a state, from those of its rows with the largest maxima, of equal ones the first; undefined
 * where these are of other rows.
 */
function topOf(values: Float32Array, dims: Float32Array, rows: number, maxima: Float32Array): Entry[] | undefined {
  const chosen = [...maxima.keys()].sort((a, b) => (maxima[b] ?? 0) - (maxima[a] ?? 0) || a - b).slice(0, rows);
  const each = values.length / rows;
  const entries = Array.from(values, (value, i) => ({
    value,
    token: chosen[Math.floor(i / each)] ?? 0,
    dim: dims[i] ?? 0,
  }));
  const areTheirs = chosen.every((token, row) => Math.abs(values[row * each] ?? Number.NaN) === maxima[token]);
  if (!areTheirs) return undefined;
  return entries
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value) || a.token - b.token || a.dim - b.dim)
    .slice(0, largest);
}
