/** Which experts of a block the tokens were sent to, read from the tensors that tell it. */
import type { Routing, RoutingValues } from '../../anatomy/anatomy.js';
import type { RoutingStatistics } from '../../statistics/statistics.js';
import type { Layout } from '../tensors/layout.js';
import { floats, numbers, size, type Value, type Values } from '../tensors/value.js';

export interface RoutedTokens {
  readonly statistics: RoutingStatistics;
  /** Of the chosen experts, in the order of `statistics`, [T, k, F]; undefined where they cannot be had. */
  readonly intermediates: Float32Array | undefined;
}

/** Softmaxes of half-precision routers add up to 1 only about. */
const aboutOne = 1e-2;

/** @returns why the tensors do not tell, where they are not what recognition took them for */
export function routedTokens(
  results: Values,
  { experts: stated, chosen, multiplies, intermediate }: Routing,
  from: RoutingValues,
  { tokens, positions, axis }: Pick<Layout, 'tokens' | 'positions' | 'axis'>,
): RoutedTokens | { readonly why: string } {
  const indices = results.get(from.indices);
  const weights = results.get(from.weights);
  if (!indices || !weights) return { why: 'its tensors are not there' };
  const k = chosenPer(indices, chosen, from.axis);
  const rows = k === undefined ? 0 : size(indices.dims) / k;
  if (k === undefined || rows < positions || rows % positions !== 0 || (axis !== undefined && rows !== positions))
    return { why: `its choice is [${indices.dims.join(', ')}], not one of experts for each of ${positions} tokens` };
  const scored = from.scores && results.get(from.scores.value);
  const experts = stated ?? scored?.dims.at(-1) ?? (from.ofAll ? size(weights.dims) / rows : undefined);
  if (experts === undefined) return { why: 'the file does not tell how many experts there are' };
  const which = numbers(indices).slice(0, tokens * k);
  if (!areChoices(which, k, experts)) return { why: `its choices are not ${k} different ones of ${experts} experts` };
  const amounts = weightsOf(weights, { ...from, which, rows, k, experts });
  if (typeof amounts === 'string') return { why: amounts };

  const order = largestFirst(amounts, k);
  const sort = (values: ArrayLike<number>) => Float32Array.from(order, (place) => values[place] ?? Number.NaN);
  const tensor = intermediate && results.get(intermediate.tensor);
  const own = tensor && intermediatesOf(tensor, intermediate.ofAll, { which, rows, k, experts });
  const intermediates = own && rowsInOrder(own, order);
  const isDistribution = from.scores?.kind === 'sigmoid' || (scored && addUp(floats(scored), experts));
  const scores = scored && from.scores && isDistribution && size(scored.dims) === rows * experts ? scored : undefined;
  return {
    statistics: {
      tokens,
      experts,
      chosen: k,
      indices: Int32Array.from(order, (place) => which[place] ?? -1),
      weights: sort(amounts),
      multiplies,
      scores: scores &&
        from.scores && { kind: from.scores.kind, values: floats(scored as Value).slice(0, tokens * experts) },
      largest: intermediates && largestOf(intermediates, tokens * k),
    },
    intermediates,
  };
}

/** k; undefined where the axis of the choice is not the last one. */
function chosenPer({ dims }: Value, chosen: number | undefined, axis: number): number | undefined {
  // Without an axis of its own where one is chosen.
  if (chosen === 1 && (dims.at(-1) !== 1 || axis === dims.length)) return 1;
  const last = dims.at(-1);
  const isLast = axis === -1 || axis === dims.length - 1;
  return isLast && last !== undefined && last > 0 && (chosen === undefined || chosen === last) ? last : undefined;
}

function areChoices(which: readonly number[], k: number, experts: number): boolean {
  if (experts < 2 || which.some((expert) => !(expert >= 0 && expert < experts))) return false;
  for (let row = 0; row < which.length; row += k) if (new Set(which.slice(row, row + k)).size < k) return false;
  return true;
}

interface Extents {
  /** [T · k], the tokens' alone. */
  readonly which: readonly number[];
  /** Positions of all examples. */
  readonly rows: number;
  readonly k: number;
  readonly experts: number;
}

/** Of each token's chosen experts, in the file's order; or why there are none. */
function weightsOf(
  value: Value,
  { which, rows, k, experts, ofAll, turned }: Extents & Pick<RoutingValues, 'ofAll' | 'turned'>,
): Float32Array | string {
  const data = floats(value);
  const width = ofAll ? experts : k;
  if (data.length !== rows * width) return `its weights are [${value.dims.join(', ')}]`;
  const at = (row: number, column: number) => data[turned ? column * rows + row : row * width + column] ?? Number.NaN;
  if (!ofAll) return Float32Array.from(which, (_, place) => at(Math.floor(place / k), place % k));
  for (let row = 0; row * k < which.length; row++) {
    const own = which.slice(row * k, (row + 1) * k);
    for (let expert = 0; expert < experts; expert++)
      if (!own.includes(expert) && at(row, expert) !== 0)
        return 'experts that are not among the chosen have a weight as well';
  }
  return Float32Array.from(which, (expert, place) => at(Math.floor(place / k), expert));
}

/** Places of [T, k], of each token those of the largest weights first. */
function largestFirst(weights: Float32Array, k: number): readonly number[] {
  const order: number[] = [];
  for (let row = 0; row < weights.length; row += k) {
    const places = Array.from({ length: k }, (_, slot) => row + slot);
    for (const place of places.toSorted((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0))) order.push(place);
  }
  return order;
}

interface Rows {
  readonly width: number;
  /** Row `place` of [T · k]. */
  readonly row: (place: number) => Float32Array;
}

function intermediatesOf(value: Value, ofAll: boolean, { which, rows, k, experts }: Extents): Rows | undefined {
  const data = floats(value);
  const width = data.length / (rows * (ofAll ? experts : k));
  if (!Number.isInteger(width) || width === 0) return undefined;
  const start = (place: number) => (ofAll ? (which[place] ?? 0) * rows + Math.floor(place / k) : place) * width;
  return { width, row: (place) => data.subarray(start(place), start(place) + width) };
}

function rowsInOrder({ width, row }: Rows, order: readonly number[]): Float32Array {
  const all = new Float32Array(order.length * width);
  for (const [at, place] of order.entries()) all.set(row(place), at * width);
  return all;
}

function largestOf(values: Float32Array, rows: number): Float32Array {
  const width = values.length / rows;
  return Float32Array.from({ length: rows }, (_, row) =>
    values.subarray(row * width, (row + 1) * width).reduce((most, value) => Math.max(most, Math.abs(value)), 0),
  );
}

/** Whether rows of so many columns each add up to 1. */
function addUp(values: Float32Array, columns: number): boolean {
  for (let row = 0; row < values.length; row += columns) {
    const sum = values.subarray(row, row + columns).reduce((all, value) => all + value, 0);
    if (!(Math.abs(sum - 1) < aboutOne)) return false;
  }
  return true;
}
