/** A hidden state in a few numbers, in one pass over its elements. */
import { lowerBits, passOverRows } from './passes.js';
import type { Entry, HiddenStatistics } from './statistics.js';

const TOP = 16;
const MAGNITUDE = 0x7fff_ffff;
/** Bit pattern of infinity: finite magnitudes lie below it. */
const INFINITE = 0x7f80_0000;
/** The 31 bits of a magnitude, halved for the two levels of the histogram. */
const LOW_BITS = 15;
const LOW = (1 << LOW_BITS) - 1;
/** Rows at the end of a text that is edited of which no largest magnitudes are kept. */
const lastRows = 32;

/**
 * Reduces a hidden state [tokens, dims] (row-major) to its statistics.
 *
 * Magnitudes are compared as bit patterns: IEEE 754 orders non-negative floats as it orders their integers, so
 * one pass counts the upper 16 bits while it collects everything else, and a second over the bucket that holds
 * the middle element counts the rest. The median is exact and nothing is sorted.
 *
 * @throws RangeError where `values` does not have tokens × dims elements.
 */
export function hiddenStatistics(values: Float32Array, tokens: number, dims: number): HiddenStatistics {
  if (values.length !== tokens * dims) {
    throw new RangeError(`A hidden state of ${tokens} × ${dims} cannot have ${values.length} elements`);
  }
  const { norms, maxima, maxDims, dimMaxima, upper, nonFinite } = passOverRows(values, tokens, dims);
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const top = new Top();
  for (const [token, max] of maxima.entries()) if (max > top.floor) insertRow(top, bits, token, dims);
  return {
    tokens,
    dims,
    top: top.entries(values, dims),
    median: lowerMedian(values, upper, values.length - nonFinite),
    tokenNorm: norms,
    tokenMax: asFloats(maxima),
    tokenMaxDim: maxDims,
    dimMax: asFloats(dimMaxima),
    nonFinite,
  };
}

/** The largest entries of a hidden state [tokens, dims], as {@link hiddenStatistics} has them. */
export function largestEntries(values: Float32Array, tokens: number, dims: number): Entry[] {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const top = new Top();
  for (let token = 0; token < tokens; token++) insertRow(top, bits, token, dims);
  return top.entries(values, dims);
}

function insertRow(top: Top, bits: Int32Array, token: number, dims: number): void {
  let { floor } = top;
  for (let i = token * dims; i < (token + 1) * dims; i++) {
    const magnitude = (bits[i] ?? 0) & MAGNITUDE;
    if (magnitude <= floor || magnitude >= INFINITE) continue;
    top.insert(magnitude, i);
    floor = top.floor;
  }
}

/**
 * {@link hiddenStatistics} of a sequence whose end may be taken back: what is known of the rows before is kept, so that
 * an edit at the end costs its own rows and few of the last.
 */
export class EditedHidden {
  private tokens = 0;
  private values = new Float32Array();
  private readonly upper = new Uint32Array(1 << 16);
  /** By token. */
  private readonly rows: {
    readonly norm: number;
    readonly max: number;
    readonly maxDim: number;
    readonly nonFinite: number;
  }[] = [];

  /** The lower bits of magnitudes in the bucket where the median was found last. */
  private found = { bucket: -1, lower: new Uint32Array(1 << LOW_BITS) };
  /** The largest magnitudes by dim of the first rows, so many. */
  private first: { readonly tokens: number; readonly dimMax: Int32Array };

  constructor(private readonly dims: number) {
    this.first = { tokens: 0, dimMax: new Int32Array(dims) };
  }

  /** The states themselves, [tokens, dims]; a view that edits change. */
  get states(): Float32Array {
    return this.values.subarray(0, this.tokens * this.dims);
  }

  /** @param values of the next tokens, [n, dims] */
  extend(values: Float32Array): void {
    const { dims, tokens } = this;
    const length = tokens * dims + values.length;
    if (length > this.values.length) {
      const longer = new Float32Array(Math.max(length, 2 * this.values.length));
      longer.set(this.states);
      this.values = longer;
    }
    this.values.set(values, tokens * dims);
    this.tokens = length / dims;
    const bits = this.bits();
    for (let token = tokens; token < this.tokens; token++) {
      let [squares, max, maxDim, nonFinite] = [0, -1, 0, 0];
      for (let dim = 0, i = token * dims; dim < dims; dim++, i++) {
        const magnitude = (bits[i] ?? 0) & MAGNITUDE;
        if (magnitude >= INFINITE) {
          nonFinite++;
          continue;
        }
        const value = this.values[i] ?? 0;
        squares += value * value;
        if (magnitude > max) {
          max = magnitude;
          maxDim = dim;
        }
      }
      this.rows.push({ norm: Math.sqrt(squares), max: Math.max(max, 0), maxDim, nonFinite });
    }
    this.tally(tokens, 1);
  }

  /** Goes back to the first `tokens`. */
  back(tokens: number): void {
    if (tokens >= this.tokens) return;
    this.tally(tokens, -1);
    this.tokens = tokens;
    this.rows.length = tokens;
    if (tokens < this.first.tokens) this.first = { tokens: 0, dimMax: new Int32Array(this.dims) };
  }

  statistics(): HiddenStatistics {
    const { dims, tokens, rows } = this;
    const bits = this.bits();
    const [tokenNorm, tokenMax, tokenMaxDim] = [
      new Float32Array(tokens),
      new Int32Array(tokens),
      new Int32Array(tokens),
    ];
    let nonFinite = 0;
    for (const [token, row] of rows.entries()) {
      tokenNorm[token] = row.norm;
      tokenMax[token] = row.max;
      tokenMaxDim[token] = row.maxDim;
      nonFinite += row.nonFinite;
    }
    return {
      tokens,
      dims,
      top: this.top(bits),
      median: this.median(bits.length - nonFinite),
      tokenNorm,
      tokenMax: asFloats(tokenMax),
      tokenMaxDim,
      dimMax: asFloats(this.dimMax(bits)),
      nonFinite,
    };
  }

  /** As {@link lowerMedian}, which counts the elements of a bucket anew where it is another one. */
  private median(count: number): number {
    if (count === 0) return Number.NaN;
    const [bucket, rank] = locate(this.upper, (count - 1) >> 1);
    if (bucket !== this.found.bucket) this.found = { bucket, lower: lowerBits(this.states, bucket) };
    return magnitudeAt(bucket, this.found.lower, rank);
  }

  private dimMax(bits: Int32Array): Int32Array {
    const { dims, tokens, first } = this;
    const last = tokens - lastRows;
    if (last > first.tokens + lastRows)
      this.first = { tokens: last, dimMax: largestByDim(bits, dims, first.tokens, last, first.dimMax) };
    return largestByDim(bits, dims, this.first.tokens, tokens, this.first.dimMax);
  }

  /** The largest entries lie in the rows that have the largest. */
  private top(bits: Int32Array): Entry[] {
    const { dims, rows } = this;
    const largest = [...rows.keys()].sort((a, b) => (rows[b]?.max ?? 0) - (rows[a]?.max ?? 0) || a - b).slice(0, TOP);
    const top = new Top();
    for (const token of largest.sort((a, b) => a - b)) insertRow(top, bits, token, dims);
    return top.entries(this.values, dims);
  }

  /** Counts the rows from `first` on in the histogram, or takes them out of it. */
  private tally(first: number, times: 1 | -1): void {
    const bits = this.bits();
    const { found } = this;
    for (let i = first * this.dims; i < bits.length; i++) {
      const magnitude = (bits[i] ?? 0) & MAGNITUDE;
      if (magnitude >= INFINITE) continue;
      const bucket = magnitude >>> LOW_BITS;
      this.upper[bucket] = (this.upper[bucket] ?? 0) + times;
      if (bucket === found.bucket) found.lower[magnitude & LOW] = (found.lower[magnitude & LOW] ?? 0) + times;
    }
  }

  private bits(): Int32Array {
    const { buffer, byteOffset, length } = this.states;
    return new Int32Array(buffer, byteOffset, length);
  }
}

/** The `TOP` largest magnitudes seen, largest first; of equal ones the first seen stay in front. */
class Top {
  /** Only a magnitude above this belongs in the list. */
  floor = -1;
  private readonly magnitudes = new Int32Array(TOP).fill(-1);
  private readonly indices = new Int32Array(TOP);
  private length = 0;

  insert(magnitude: number, index: number): void {
    const { magnitudes, indices } = this;
    if (this.length < TOP) this.length++;
    let at = this.length - 1;
    for (; at > 0; at--) {
      const before = magnitudes[at - 1] ?? 0;
      if (before >= magnitude) break;
      magnitudes[at] = before;
      indices[at] = indices[at - 1] ?? 0;
    }
    magnitudes[at] = magnitude;
    indices[at] = index;
    this.floor = magnitudes[TOP - 1] ?? 0;
  }

  entries(values: Float32Array, dims: number): Entry[] {
    return Array.from(this.indices.subarray(0, this.length), (index) => ({
      value: values[index] ?? 0,
      token: Math.floor(index / dims),
      dim: index % dims,
    }));
  }
}

/** Element (count - 1) >> 1 in order of magnitude, as `torch.median` chooses; NaN where there is none. */
function lowerMedian(values: Float32Array, upper: Uint32Array, count: number): number {
  if (count === 0) return Number.NaN;
  const [bucket, rank] = locate(upper, (count - 1) >> 1);
  return magnitudeAt(bucket, lowerBits(values, bucket), rank);
}

function magnitudeAt(bucket: number, lower: Uint32Array, rank: number): number {
  const [low] = locate(lower, rank);
  const [magnitude = Number.NaN] = asFloats(Int32Array.of((bucket << LOW_BITS) | low));
  return magnitude;
}

/** The largest finite magnitudes of rows `from` … `to`, and of others that are known. */
function largestByDim(bits: Int32Array, dims: number, from: number, to: number, known: Int32Array) {
  const largest = known.slice();
  for (let token = from, i = from * dims; token < to; token++)
    for (let dim = 0; dim < dims; dim++, i++) {
      const magnitude = (bits[i] ?? 0) & MAGNITUDE;
      if (magnitude > (largest[dim] ?? 0) && magnitude < INFINITE) largest[dim] = magnitude;
    }
  return largest;
}

/** The bucket that holds the element of this rank, and its rank within the bucket. */
function locate(histogram: Uint32Array, rank: number): [bucket: number, rank: number] {
  let bucket = 0;
  let left = rank;
  for (let count = histogram[0]; count !== undefined && left >= count; count = histogram[++bucket]) left -= count;
  return [bucket, left];
}

function asFloats(bits: Int32Array): Float32Array {
  return new Float32Array(bits.buffer, bits.byteOffset, bits.length);
}
