/** The passes over a hidden state that touch every entry, in WebAssembly: `tools/kernels/hidden.ts` is their source. */
import wasm from './hidden.wasm';

/** Entries that are in the memory at once: as many as stay in a processor's cache. */
const chunk = 1 << 16;
const page = 1 << 16;
/** Buckets of the two levels of the histogram: upper and lower bits of magnitudes. */
const uppers = 1 << 16;
const lowers = 1 << 15;

interface Kernel {
  readonly memory: WebAssembly.Memory;
  /** @returns how many entries are not finite */
  rows(tokens: number, dims: number, places: Places): number;
  lowerBits(length: number, bucket: number, places: Places): void;
}

/** Where things are in the memory, in bytes. */
interface Places {
  readonly values: number;
  readonly norms: number;
  readonly maxima: number;
  readonly maxDims: number;
  readonly dimMaxima: number;
  readonly upper: number;
  readonly lower: number;
  readonly end: number;
}

let kernel: Kernel | undefined;

function load(): Kernel {
  const { memory, rows, lowerBits } = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports;
  if (!(memory instanceof WebAssembly.Memory) || typeof rows !== 'function' || typeof lowerBits !== 'function')
    throw new Error('hidden.wasm is not what it was');
  return {
    memory,
    rows: (tokens, dims, at) =>
      Number(rows(at.values, tokens, dims, at.norms, at.maxima, at.maxDims, at.dimMaxima, at.upper)),
    lowerBits: (length, bucket, at) => void lowerBits(at.values, length, bucket, at.lower),
  };
}

function placesOf(rows: number, dims: number): Places {
  let end = 0;
  const take = (elements: number) => {
    const place = end;
    end += 4 * elements;
    return place;
  };
  const values = take(rows * dims);
  const [norms, maxima, maxDims, dimMaxima] = [take(rows), take(rows), take(rows), take(dims)];
  const [upper, lower] = [take(uppers), take(lowers)];
  return { values, norms, maxima, maxDims, dimMaxima, upper, lower, end };
}

/** The kernel, with room for all that is placed. */
function withRoom({ end }: Places): Kernel {
  kernel ??= load();
  const { memory } = kernel;
  const lacking = Math.ceil((end - memory.buffer.byteLength) / page);
  if (lacking > 0) memory.grow(lacking);
  return kernel;
}

/** Of a hidden state; magnitudes are bit patterns without their sign. What is not finite counts in `nonFinite` alone. */
export interface Rows {
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
export function rowsOf(values: Float32Array, tokens: number, dims: number): Rows {
  const most = Math.max(1, Math.floor(chunk / Math.max(1, dims)));
  const at = placesOf(Math.min(most, tokens), dims);
  const { memory, rows } = withRoom(at);
  const floats = (place: number, length: number) => new Float32Array(memory.buffer, place, length);
  const ints = (place: number, length: number) => new Int32Array(memory.buffer, place, length);
  ints(at.dimMaxima, dims).fill(0);
  ints(at.upper, uppers).fill(0);
  const [norms, maxima, maxDims] = [new Float32Array(tokens), new Int32Array(tokens), new Int32Array(tokens)];
  let nonFinite = 0;
  for (let token = 0; token < tokens; token += most) {
    const count = Math.min(most, tokens - token);
    const part = values.subarray(token * dims, (token + count) * dims);
    floats(at.values, part.length).set(part);
    nonFinite += rows(count, dims, at);
    norms.set(floats(at.norms, count), token);
    maxima.set(ints(at.maxima, count), token);
    maxDims.set(ints(at.maxDims, count), token);
  }
  const upper = new Uint32Array(memory.buffer, at.upper, uppers).slice();
  return { norms, maxima, maxDims, dimMaxima: ints(at.dimMaxima, dims).slice(), upper, nonFinite };
}

/** How often each has its lower 15 bits, of the magnitudes with these upper ones. */
export function lowerBits(values: Float32Array, bucket: number): Uint32Array<ArrayBuffer> {
  const at = placesOf(1, Math.min(chunk, values.length));
  const kernel = withRoom(at);
  const { buffer } = kernel.memory;
  const lower = new Uint32Array(buffer, at.lower, lowers);
  lower.fill(0);
  for (let from = 0; from < values.length; from += chunk) {
    const part = values.subarray(from, from + chunk);
    new Float32Array(buffer, at.values, part.length).set(part);
    kernel.lowerBits(part.length, bucket, at);
  }
  return lower.slice();
}
