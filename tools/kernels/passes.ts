/**
 * The passes over tensors of `src/statistics/passes.ts` in WebAssembly, four entries at a time; AssemblyScript:
 *
 *     npx --package assemblyscript@0.28.20 asc tools/kernels/passes.ts -O3 --noAssert --runtime stub --enable simd \
 *       -o src/statistics/passes.wasm
 *
 * All places are bytes of the one memory. Magnitudes are bit patterns without their sign.
 */

const MAGNITUDE = 0x7fff_ffff;
const INFINITE = 0x7f80_0000;
const LOW_BITS = 15;
const LOW = (1 << LOW_BITS) - 1;

// @inline
function count(histogram: usize, bucket: i32): void {
  const place = histogram + (<usize>bucket << 2);
  store<u32>(place, load<u32>(place) + 1);
}

/**
 * Of each row the L2 norm (f32), the largest finite magnitude (i32, 0 where there is none) and where it is first (i32);
 * adds the largest magnitudes by dim (i32) and the histogram of upper bits (u32) up.
 *
 * @returns how many entries are not finite
 */
export function rows(
  values: usize,
  tokens: i32,
  dims: i32,
  norms: usize,
  maxima: usize,
  maxDims: usize,
  dimMaxima: usize,
  upper: usize,
): i32 {
  const magnitudes = i32x4.splat(MAGNITUDE);
  const infinite = i32x4.splat(INFINITE);
  let nonFinite = 0;
  let at = values;
  for (let token = 0; token < tokens; token++) {
    const row = at;
    let squares: f64 = 0;
    let four = i32x4.splat(-1);
    let largest = -1;
    let dim = 0;
    while (dim < dims) {
      if (dim + 4 <= dims) {
        const entries = v128.load(at);
        const bits = v128.and(entries, magnitudes);
        if (!v128.any_true(i32x4.ge_s(bits, infinite))) {
          const low = f64x2.promote_low_f32x4(entries);
          const high = f64x2.promote_low_f32x4(i32x4.shuffle(entries, entries, 2, 3, 2, 3));
          const lows = f64x2.mul(low, low);
          const highs = f64x2.mul(high, high);
          // One by one, in the order in which a loop over single entries adds them.
          squares += f64x2.extract_lane(lows, 0);
          squares += f64x2.extract_lane(lows, 1);
          squares += f64x2.extract_lane(highs, 0);
          squares += f64x2.extract_lane(highs, 1);
          four = i32x4.max_s(four, bits);
          const ofDims = dimMaxima + (<usize>dim << 2);
          v128.store(ofDims, i32x4.max_s(v128.load(ofDims), bits));
          const buckets = i32x4.shr_u(bits, LOW_BITS);
          count(upper, i32x4.extract_lane(buckets, 0));
          count(upper, i32x4.extract_lane(buckets, 1));
          count(upper, i32x4.extract_lane(buckets, 2));
          count(upper, i32x4.extract_lane(buckets, 3));
          dim += 4;
          at += 16;
          continue;
        }
      }
      const bits = load<i32>(at) & MAGNITUDE;
      if (bits >= INFINITE) nonFinite++;
      else {
        const entry = <f64>load<f32>(at);
        squares += entry * entry;
        if (bits > largest) largest = bits;
        const ofDim = dimMaxima + (<usize>dim << 2);
        if (bits > load<i32>(ofDim)) store<i32>(ofDim, bits);
        count(upper, bits >>> LOW_BITS);
      }
      dim++;
      at += 4;
    }
    largest = max(
      largest,
      max(
        max(i32x4.extract_lane(four, 0), i32x4.extract_lane(four, 1)),
        max(i32x4.extract_lane(four, 2), i32x4.extract_lane(four, 3)),
      ),
    );
    const place = <usize>token << 2;
    store<f32>(norms + place, <f32>Math.sqrt(squares));
    store<i32>(maxima + place, max(largest, 0));
    store<i32>(maxDims + place, largest < 0 ? 0 : first(row, dims, largest));
  }
  return nonFinite;
}

/** Where a magnitude that a row has is first. */
function first(row: usize, dims: i32, magnitude: i32): i32 {
  const magnitudes = i32x4.splat(MAGNITUDE);
  const wanted = i32x4.splat(magnitude);
  let dim = 0;
  while (dim + 4 <= dims) {
    const bits = v128.and(v128.load(row + (<usize>dim << 2)), magnitudes);
    const found = i32x4.bitmask(i32x4.eq(bits, wanted));
    if (found) return dim + ctz(found);
    dim += 4;
  }
  while ((load<i32>(row + (<usize>dim << 2)) & MAGNITUDE) !== magnitude) dim++;
  return dim;
}

/** Adds the histogram of lower bits (u32) of the magnitudes in a bucket of upper bits up. */
export function lowerBits(values: usize, length: i32, bucket: i32, lower: usize): void {
  const magnitudes = i32x4.splat(MAGNITUDE);
  const wanted = i32x4.splat(bucket);
  const end = values + (<usize>length << 2);
  let at = values;
  while (at < end) {
    if (at + 16 <= end) {
      const bits = v128.and(v128.load(at), magnitudes);
      if (!v128.any_true(i32x4.eq(i32x4.shr_u(bits, LOW_BITS), wanted))) {
        at += 16;
        continue;
      }
    }
    const bits = load<i32>(at) & MAGNITUDE;
    if (bits >>> LOW_BITS === bucket) count(lower, bits & LOW);
    at += 4;
  }
}

/**
 * Whether a query of some rows of a pattern gives a later token more than `least`.
 *
 * @param query of the first row; rows are as long as there are `keys`, of which those of tokens begin at `offset`
 */
export function looksAhead(
  values: usize,
  count: i32,
  keys: i32,
  query: i32,
  offset: i32,
  tokens: i32,
  least: f32,
): bool {
  const bound = f32x4.splat(least);
  for (let i = 0; i < count; i++) {
    const own = values + (<usize>(i * keys + offset) << 2);
    let key = query + i + 1;
    for (; key + 4 <= tokens; key += 4)
      if (v128.any_true(f32x4.gt(v128.load(own + (<usize>key << 2)), bound))) return true;
    for (; key < tokens; key++) if (load<f32>(own + (<usize>key << 2)) > least) return true;
  }
  return false;
}

/** Adds rows of a pattern up by key (f64): what queries see of tokens up to themselves where it is causal, else all. */
export function addRows(
  values: usize,
  count: i32,
  keys: i32,
  query: i32,
  offset: i32,
  tokens: i32,
  causal: bool,
  sums: usize,
): void {
  for (let i = 0; i < count; i++) {
    const own = values + (<usize>(i * keys + offset) << 2);
    const seen = causal ? query + i + 1 : tokens;
    let key = 0;
    for (; key + 4 <= seen; key += 4) {
      const entries = v128.load(own + (<usize>key << 2));
      const sum = sums + (<usize>key << 3);
      v128.store(sum, f64x2.add(v128.load(sum), f64x2.promote_low_f32x4(entries)));
      const high = f64x2.promote_low_f32x4(i32x4.shuffle(entries, entries, 2, 3, 2, 3));
      v128.store(sum, f64x2.add(v128.load(sum, 16), high), 16);
    }
    for (; key < seen; key++) {
      const sum = sums + (<usize>key << 3);
      store<f64>(sum, load<f64>(sum) + <f64>load<f32>(own + (<usize>key << 2)));
    }
  }
}
