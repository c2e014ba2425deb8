/**
 * Medians of magnitudes, as nodes of the graph that makes them, exact. Of equal ones, and of an even number, as
 * `src/statistics/hidden.ts` has it: the lower one.
 */
import { DataType } from '../../../onnx/model.js';
import { sum } from '../../../statistics/numbers.js';
import { filled, type Values } from '../../tensors/value.js';
import type { JoinedParts, Reducing } from './reducing.js';

/** Extents of the states. */
export interface Extents {
  readonly tokens: number;
  readonly dims: number;
}

/** The opset since which entries of one place can be added up. */
const countsSince = 16;

/** How the nodes of an opset find medians. */
export interface Medians {
  /** What the nodes are fed. */
  fed(extents: Extents): Values;
  /**
   * @param magnitudes name of a value [points, T, D]
   * @returns names of what {@link Medians.read} reads, in order
   */
  nodes(build: Reducing, magnitudes: string, points: number, dims: number): string[];
  /** The medians of so many points; NaN for one that the graph could not tell. */
  read(parts: JoinedParts, points: number, extents: Extents): number[];
}

export const mediansOf = (opset: number): Medians => (opset >= countsSince ? byCounting : byBits);

/** Index of the lower median in ascending order. */
const rankOf = ({ tokens, dims }: Extents) => Math.floor((tokens * dims - 1) / 2);

/** Entries of a sample: as many as a card sorts in one go. */
const sampled = 2048;
/** Standard deviations of a sample's quantile that are left at both sides of it. */
const certain = 5;
/** Bins at both levels. */
const coarse = 256;
const fine = 256;
const bins = coarse * fine;
const largestFinite = 3e38;
const smallestWidth = 1e-30;

/** What the nodes are fed, all of it extents: how a sample is taken, and where its bounds are when it is sorted. */
const given = ['step', 'end', 'count', 'upper', 'after upper', 'lower', 'after lower'].map(
  (what) => `sinkscope/reduced/sample/${what}`,
);

/** A step through all entries that comes past all dims: tokens and dims differ in scale. */
function stepOf(most: number, dims: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  for (let step = most; step > 1; step--) if (divisor(step, dims) === 1) return step;
  return 1;
}

/**
 * A sample, sorted, has two bounds between which the median lies but for one time in a million. What is between them is
 * counted in bins of equal width; all others by dim, so that threads that run together add to different places. Of the
 * bin in which the median is, its few entries come back: of each token the smallest and the largest. Which bin an entry
 * falls into may be rounded: a larger one never falls into one before, and that is all that counts.
 */
const byCounting: Medians = {
  fed(extents) {
    const { tokens, dims } = extents;
    const all = tokens * dims;
    const count = Math.min(sampled, all);
    const step = stepOf(Math.floor(all / count), dims);
    const margin = count === all ? 0 : Math.ceil((certain * Math.sqrt(count)) / 2) + 1;
    const middle = Math.floor(((rankOf(extents) + 0.5) / all) * count);
    // It is sorted from the largest on.
    const upper = count - 1 - Math.min(middle + margin, count - 1);
    const lower = count - 1 - Math.max(middle - margin, 0);
    const values = [step, step * count, count, upper, upper + 1, lower, lower + 1];
    return new Map(values.map((value, i) => [given[i] ?? '', filled(DataType.int64, [1], () => value)]));
  },

  nodes(build, magnitudes, points, dims) {
    const [step = '', end = '', count = '', upper = '', afterUpper = '', lower = '', afterLower = ''] = given;
    const [zero, axis] = [build.ints([0]), build.ints([1])];
    const flat = build.reshape(magnitudes, [points, -1]);
    const some = build.node('Slice', [flat, zero, end, axis, step]);
    const [sorted = ''] = build.several('TopK', [some, count], 2);
    // What is not finite is beyond all bounds.
    const bound = (from: string, to: string) =>
      build.reshape(
        build.node('Min', [build.node('Slice', [sorted, from, to, axis]), build.float(largestFinite)]),
        [-1, 1, 1],
      );
    const [low, high] = [bound(lower, afterLower), bound(upper, afterUpper)];
    const width = build.node('Max', [build.node('Sub', [high, low]), build.float(smallestWidth)]);
    const scale = build.node('Div', [build.float(bins - 1), width]);
    const between = build.times(build.node('Sub', [magnitudes, low]), scale);
    const byDim = (first: number) => build.floats(Array.from({ length: dims }, (_, dim) => first + dim));
    const aboveLow = build.where(build.atMost(low, magnitudes), between, byDim(bins));
    const place = build.where(build.atMost(magnitudes, high), aboveLow, byDim(bins + dims));
    const bin = build.reshape(build.node('Cast', [place], { to: DataType.int32 }), [points, -1]);
    const whole = (value: number, extents: string) =>
      build.node('Expand', [build.node('Cast', [build.float(value)], { to: DataType.int32 }), extents]);
    const empty = whole(0, build.ints([points, bins + 2 * dims]));
    const added = [empty, bin, whole(1, build.node('Shape', [bin]))];
    const counts = build.float32(build.node('ScatterElements', added, { axis: 1, reduction: 'add' }));

    const below = build.reshape(build.reduce('ReduceSum', build.slice(counts, 1, bins, bins + dims), [1]), [-1, 1]);
    const groups = build.reshape(build.slice(counts, 1, 0, bins), [points, coarse, fine]);
    const sums = build.reduce('ReduceSum', groups, [2]);
    const rank = build.rankOf(magnitudes, dims);
    /** How many of these, behind each other, are not above the median; and how many entries there are up to the last. */
    const passed = (some: string, before: string) => {
      const upTo = build.sum(build.node('CumSum', [some, build.int(1)]), before);
      const isPassed = build.atMost(upTo, rank);
      return {
        count: build.reshape(build.reduce('ReduceSum', build.float32(isPassed), [1]), [-1, 1]),
        entries: build.reshape(build.reduce('ReduceMax', build.where(isPassed, upTo, before), [1]), [-1, 1]),
      };
    };
    const group = passed(sums, below);
    const places = build.floats(Array.from({ length: coarse }, (_, i) => i));
    const isIn = build.reshape(build.float32(build.node('Equal', [places, group.count])), [points, coarse, 1]);
    const inGroup = build.reduce('ReduceSum', build.times(groups, isIn), [1]);
    const found = passed(inGroup, group.entries);
    const chosen = build.sum(build.times(group.count, build.float(fine)), found.count);
    const isFound = build.node('Equal', [bin, build.node('Cast', [chosen], { to: DataType.int32 })]);
    const ofTokens = (otherwise: number) =>
      build.reshape(build.where(isFound, flat, build.float(otherwise)), [points, -1, dims]);
    return [
      below,
      sums,
      inGroup,
      build.reduce('ReduceMax', ofTokens(-1), [2]),
      build.reduce('ReduceMin', ofTokens(Number.POSITIVE_INFINITY), [2]),
    ];
  },

  read(parts, points, extents) {
    const { tokens } = extents;
    const below = parts.take(points);
    const [sums, inGroup] = [parts.take(points * coarse), parts.take(points * fine)];
    const [largest, smallest] = [parts.take(points * tokens), parts.take(points * tokens)];
    return Array.from({ length: points }, (_, point) => {
      const of = (values: Float32Array, length: number) => values.subarray(point * length, (point + 1) * length);
      const group = located(of(sums, coarse), rankOf(extents) - (below[point] ?? Number.NaN));
      const bin = group && located(of(inGroup, fine), group.rank);
      if (!group || !bin || sum(of(inGroup, fine)) !== group.count) return Number.NaN;
      const values: number[] = [];
      const small = of(smallest, tokens);
      for (const [token, large] of of(largest, tokens).entries()) {
        if (large >= 0) values.push(large);
        if (large > (small[token] ?? Number.NaN)) values.push(small[token] ?? Number.NaN);
      }
      values.sort((a, b) => a - b);
      // Tokens that hold more of it do not tell how often, unless there is nothing else.
      const isTold = values.length === bin.count || (values.length > 0 && values[0] === values.at(-1));
      return isTold ? (values[Math.min(bin.rank, values.length - 1)] ?? Number.NaN) : Number.NaN;
    });
  },
};

/** The part that the entry of a rank is in, its rank there, and how many there are. */
function located(counts: Float32Array, rank: number): { readonly rank: number; readonly count: number } | undefined {
  if (!(rank >= 0)) return undefined;
  let left = rank;
  for (const count of counts) {
    if (left < count) return { rank: left, count };
    left -= count;
  }
  return undefined;
}

const exponentBits = [64, 32, 16, 8, 4, 2, 1];
const mantissaBits = 23;
export const smallestNormal = 2 ** -126;

/**
 * Bit by bit, from the largest power of two that is not above it on: each step counts the entries below a bound, over D
 * first and then over T, so that many are added at once. All bounds are sums of powers of two, so that they are exact.
 */
const byBits: Medians = {
  fed: () => new Map(),

  nodes(build, magnitudes, _, dims) {
    const rank = build.rankOf(magnitudes, dims);
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
    return [median];
  },

  read: (parts, points) => [...parts.take(points)],
};
