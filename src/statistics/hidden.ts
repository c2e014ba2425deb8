/** A hidden state in a few numbers, in one pass over its elements. */
import type { Entry, HiddenStatistics } from './statistics.js';

const TOP = 16;
const MAGNITUDE = 0x7fff_ffff;
/** Bit pattern of infinity: finite magnitudes lie below it. */
const INFINITE = 0x7f80_0000;
/** The 31 bits of a magnitude, halved for the two levels of the histogram. */
const LOW_BITS = 15;

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
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const upper = new Uint32Array(1 << 16);
  const tokenNorm = new Float32Array(tokens);
  const tokenMax = new Int32Array(tokens);
  const tokenMaxDim = new Int32Array(tokens);
  const dimMax = new Int32Array(dims);
  const top = new Top();
  let nonFinite = 0;

  for (let token = 0, i = 0; token < tokens; token++) {
    let squares = 0;
    let max = -1;
    let maxDim = 0;
    for (let dim = 0; dim < dims; dim++, i++) {
      const magnitude = (bits[i] ?? 0) & MAGNITUDE;
      if (magnitude >= INFINITE) {
        nonFinite++;
        continue;
      }
      const bucket = magnitude >>> LOW_BITS;
      upper[bucket] = (upper[bucket] ?? 0) + 1;
      const value = values[i] ?? 0;
      squares += value * value;
      if (magnitude > max) {
        max = magnitude;
        maxDim = dim;
      }
      if (magnitude > (dimMax[dim] ?? 0)) dimMax[dim] = magnitude;
      if (magnitude > top.floor) top.insert(magnitude, i);
    }
    tokenNorm[token] = Math.sqrt(squares);
    tokenMax[token] = Math.max(max, 0);
    tokenMaxDim[token] = maxDim;
  }

  return {
    tokens,
    dims,
    top: top.entries(values, dims),
    median: lowerMedian(bits, upper, values.length - nonFinite),
    tokenNorm,
    tokenMax: asFloats(tokenMax),
    tokenMaxDim,
    dimMax: asFloats(dimMax),
    nonFinite,
  };
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
function lowerMedian(bits: Int32Array, upper: Uint32Array, count: number): number {
  if (count === 0) return Number.NaN;
  const [bucket, rank] = locate(upper, (count - 1) >> 1);
  const lower = new Uint32Array(1 << LOW_BITS);
  const lowMask = lower.length - 1;
  // Infinity and NaN fall into buckets of their own, above every finite one.
  for (let i = 0; i < bits.length; i++) {
    const magnitude = (bits[i] ?? 0) & MAGNITUDE;
    if (magnitude >>> LOW_BITS !== bucket) continue;
    const low = magnitude & lowMask;
    lower[low] = (lower[low] ?? 0) + 1;
  }
  const [low] = locate(lower, rank);
  const [median = Number.NaN] = asFloats(Int32Array.of((bucket << LOW_BITS) | low));
  return median;
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
