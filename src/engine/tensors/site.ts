/** An attention site of a run: which of the pattern's columns belong to what, and how values are weighed by them. */
import { patternStatistics } from '../../statistics/pattern.js';
import type { Pattern } from './patterns.js';
import { floats, size, type Value } from './value.js';

/** The columns of a pattern [heads, queries, keys]: one for each token, and extra ones that belong to none. */
export interface Columns {
  /** Column of token 0; the others follow. */
  readonly offset: number;
  readonly extra: readonly number[];
  readonly causal: boolean;
}

export function columnsOf({ heads, queries, keys, values }: Pattern): Columns {
  const { extra, causal } = patternStatistics(values, heads, queries, keys);
  const first = extra?.side === 'first' ? 0 : queries;
  return {
    offset: extra?.side === 'first' ? extra.columns : 0,
    extra: Array.from({ length: extra?.columns ?? 0 }, (_, i) => first + i),
    causal,
  };
}

/** Values as the pattern of `heads` heads weighs them: [value heads, rows, headDim]; heads may share theirs. */
export interface WeighedRows {
  readonly data: Float32Array;
  readonly rows: number;
  readonly headDim: number;
  /** Index in `data` of the row that a head weighs by a column. */
  at(head: number, column: number): number;
}

/**
 * @param value [..., value heads, rows, headDim], or with the last two axes exchanged where `transposed`
 */
export function weighedRows(value: Value, heads: number, transposed = false): WeighedRows {
  const [rows = 1, headDim = 1] = transposed ? value.dims.slice(-2).toReversed() : value.dims.slice(-2);
  const groups = size(value.dims) / (rows * headDim);
  const plain = floats(value);
  const data = transposed ? exchanged(plain, headDim, rows) : plain;
  return {
    data,
    rows,
    headDim,
    at: (head, column) => (Math.floor((head * groups) / heads) * rows + column) * headDim,
  };
}

function exchanged(data: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let at = 0; at < data.length; at++) {
    const [matrix, row, column] = [Math.floor(at / (rows * columns)), Math.floor(at / columns) % rows, at % columns];
    result[(matrix * columns + column) * rows + row] = data[at] ?? 0;
  }
  return result;
}

/** Where in the product of pattern and values the vector of a head and query stands. */
export type Place = (head: number, query: number) => number;

/** How far the product may be from what its layout promises, relative to its largest magnitude. */
const tolerance = 2e-2;

/**
 * Finds how `weighed` lies in memory, [heads, T, headDim] or [T, heads, headDim], by computing its last queries again
 * from pattern and values; undefined where it is neither, so that nothing is built on a misread graph.
 */
export function placeOf(pattern: Pattern, values: WeighedRows, weighed: Value): Place | undefined {
  const { heads, queries, keys } = pattern;
  const { headDim } = values;
  const actual = floats(weighed);
  const rows = actual.length / (heads * headDim);
  const layouts: Place[] = [
    (head, query) => (head * rows + query) * headDim,
    (head, query) => (query * heads + head) * headDim,
  ];
  if (!Number.isInteger(rows)) return undefined;
  const largest = actual.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const checked = [...new Set([0, queries >> 1, queries - 1])];
  return layouts.find((place) => {
    for (let head = 0; head < heads; head++) {
      for (const query of checked) {
        for (let d = 0; d < headDim; d++) {
          let sum = 0;
          for (let key = 0; key < keys; key++) {
            const weight = pattern.values[(head * queries + query) * keys + key] ?? 0;
            sum += weight * (values.data[values.at(head, key) + d] ?? 0);
          }
          const found = actual[place(head, query) + d] ?? Number.NaN;
          if (!(Math.abs(sum - found) <= tolerance * largest)) return false;
        }
      }
    }
    return true;
  });
}

/**
 * What some columns of the pattern add to the weighed values, laid out as these are.
 *
 * @param length elements of the whole product
 */
export function updateOf(
  pattern: Pattern,
  values: WeighedRows,
  columns: readonly number[],
  place: Place,
  length: number,
): Float32Array {
  const { heads, queries, keys } = pattern;
  const update = new Float32Array(length);
  for (let head = 0; head < heads; head++) {
    for (let query = 0; query < queries; query++) {
      const to = place(head, query);
      for (const column of columns) {
        const weight = pattern.values[(head * queries + query) * keys + column] ?? 0;
        if (weight === 0) continue;
        const from = values.at(head, column);
        for (let d = 0; d < values.headDim; d++) {
          update[to + d] = (update[to + d] ?? 0) + weight * (values.data[from + d] ?? 0);
        }
      }
    }
  }
  return update;
}
