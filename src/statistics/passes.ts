/**
 * The passes over tensors that touch every entry, in WebAssembly; `tools/kernels/passes.ts` is their source. Tensors are
 * taken in parts that stay in a processor's cache, so that the memory is small.
 */
import wasm from './passes.wasm';

/** Entries of a part. */
const part = 1 << 16;
const page = 1 << 16;
/** Buckets of the two levels of a histogram of magnitudes: of upper and of lower bits. */
const uppers = 1 << 16;
const lowers = 1 << 15;

type Pass = (...given: readonly number[]) => number;

interface Kernel {
  readonly memory: WebAssembly.Memory;
  readonly rows: Pass;
  readonly lowerBits: Pass;
  readonly looksAhead: Pass;
  readonly addRows: Pass;
}

let kernel: Kernel | undefined;

/** The kernel, with so much memory. */
function withRoom(bytes: number): Kernel {
  kernel ??= load();
  const { memory } = kernel;
  const lacking = Math.ceil((bytes - memory.buffer.byteLength) / page);
  if (lacking > 0) memory.grow(lacking);
  return kernel;
}

function load(): Kernel {
  const { memory, ...passes } = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports;
  const pass = (name: string): Pass => {
    const found = passes[name];
    if (typeof found !== 'function') throw new Error(`passes.wasm has no ${name}`);
    return (...given) => Number(found(...given));
  };
  if (!(memory instanceof WebAssembly.Memory)) throw new Error('passes.wasm has no memory');
  return {
    memory,
    rows: pass('rows'),
    lowerBits: pass('lowerBits'),
    looksAhead: pass('looksAhead'),
    addRows: pass('addRows'),
  };
}

/** Places behind each other in the memory, in bytes, for so many bytes each. */
function placed(...lengths: readonly number[]): { readonly at: readonly number[]; readonly end: number } {
  const at: number[] = [];
  let end = 0;
  for (const length of lengths) {
    at.push(end);
    end += Math.ceil(length / 16) * 16;
  }
  return { at, end };
}

/** How many rows make a part. */
const together = (rows: number, width: number) => Math.min(rows, Math.max(1, Math.floor(part / Math.max(1, width))));

/** Of a hidden state; magnitudes are bit patterns without their sign. What is not finite counts in `nonFinite` alone. */
export interface RowFindings {
  readonly norms: Float32Array;
  /** The largest of each row, 0 where there is none, and where it is first. */
  readonly maxima: Int32Array;
  readonly maxDims: Int32Array;
  readonly dimMaxima: Int32Array;
  /** How often magnitudes have their upper 16 bits. */
  readonly upper: Uint32Array;
  readonly nonFinite: number;
}

/** @param values [tokens, dims] */
export function passOverRows(values: Float32Array, tokens: number, dims: number): RowFindings {
  const most = together(tokens, dims);
  const { at, end } = placed(4 * most * dims, 4 * most, 4 * most, 4 * most, 4 * dims, 4 * uppers);
  const [place = 0, norm = 0, maximum = 0, maxDim = 0, dimMaximum = 0, bucket = 0] = at;
  const { memory, rows } = withRoom(end);
  const { buffer } = memory;
  const ofDims = new Int32Array(buffer, dimMaximum, dims).fill(0);
  const buckets = new Uint32Array(buffer, bucket, uppers).fill(0);
  const [norms, maxima, maxDims] = [new Float32Array(tokens), new Int32Array(tokens), new Int32Array(tokens)];
  let nonFinite = 0;
  for (let token = 0; token < tokens; token += most) {
    const count = Math.min(most, tokens - token);
    new Float32Array(buffer, place, count * dims).set(values.subarray(token * dims, (token + count) * dims));
    nonFinite += rows(place, count, dims, norm, maximum, maxDim, dimMaximum, bucket);
    norms.set(new Float32Array(buffer, norm, count), token);
    maxima.set(new Int32Array(buffer, maximum, count), token);
    maxDims.set(new Int32Array(buffer, maxDim, count), token);
  }
  return { norms, maxima, maxDims, dimMaxima: ofDims.slice(), upper: buckets.slice(), nonFinite };
}

/** How often each has its lower 15 bits, of the magnitudes with these upper ones. */
export function lowerBits(values: Float32Array, bucket: number): Uint32Array<ArrayBuffer> {
  const { at, end } = placed(4 * part, 4 * lowers);
  const [place = 0, lower = 0] = at;
  const { memory, lowerBits: pass } = withRoom(end);
  const counts = new Uint32Array(memory.buffer, lower, lowers).fill(0);
  for (let from = 0; from < values.length; from += part) {
    const some = values.subarray(from, from + part);
    new Float32Array(memory.buffer, place, some.length).set(some);
    pass(place, some.length, bucket, lower);
  }
  return counts.slice();
}

/** An attention pattern [heads, tokens, keys]. */
export interface PatternExtents {
  readonly heads: number;
  readonly tokens: number;
  readonly keys: number;
}

/** Whether a query gives a later token more than `least`, when the tokens' columns begin at `offset`. */
export function looksAhead(
  values: Float32Array,
  { heads, tokens, keys }: PatternExtents,
  offset: number,
  least: number,
): boolean {
  const most = together(tokens, keys);
  const { memory, looksAhead: pass } = withRoom(4 * most * keys);
  for (let head = 0; head < heads; head++) {
    for (let query = 0; query < tokens; query += most) {
      const count = Math.min(most, tokens - query);
      const from = (head * tokens + query) * keys;
      new Float32Array(memory.buffer, 0, count * keys).set(values.subarray(from, from + count * keys));
      if (pass(0, count, keys, query, offset, tokens, least) !== 0) return true;
    }
  }
  return false;
}

/**
 * What all queries of each head give each token, added up: of a causal pattern what is up to themselves. A view, which
 * the next head changes.
 */
export function* sumsByHead(
  values: Float32Array,
  { heads, tokens, keys }: PatternExtents,
  offset: number,
  causal: boolean,
): Generator<Float64Array, void, void> {
  const most = together(tokens, keys);
  const { at, end } = placed(8 * tokens, 4 * most * keys);
  const [sum = 0, place = 0] = at;
  const { memory, addRows } = withRoom(end);
  const sums = new Float64Array(memory.buffer, sum, tokens);
  for (let head = 0; head < heads; head++) {
    sums.fill(0);
    for (let query = 0; query < tokens; query += most) {
      const count = Math.min(most, tokens - query);
      const from = (head * tokens + query) * keys;
      new Float32Array(memory.buffer, place, count * keys).set(values.subarray(from, from + count * keys));
      addRows(place, count, keys, query, offset, tokens, causal ? 1 : 0, sum);
    }
    yield sums;
  }
}
