/** The keys and values of the tokens that a sequence has behind it. */
import type { CachePair } from '../../anatomy/caches.js';
import { size, type TypedArray, type Value, type Values } from '../tensors/value.js';

/** What a lane owns that goes on where it was: what its next run is fed in place of the tokens before. */
export class Cache {
  /** Tokens behind it, those that it no longer holds among them. */
  tokens = 0;
  /** By the name of the input that takes it. */
  readonly values = new Map<string, Value>();

  constructor(private readonly pairs: readonly CachePair[]) {}

  /** Bytes of its tensors. */
  get bytes(): number {
    return [...this.values.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  }

  /** Names of the inputs that take it. */
  get inputs(): readonly string[] {
    return this.pairs.map(({ input }) => input);
  }

  /** Tokens that some part of it has room for, where there is such a part. */
  get room(): number {
    return Math.min(...this.pairs.map(({ form, room }) => (form === 'rolls' ? Number.POSITIVE_INFINITY : room)));
  }

  /** Whether nothing that is behind it is lost to `count` tokens more. */
  holds(count: number): boolean {
    return this.pairs.every(({ form, room }) => {
      if (this.tokens === 0 || form === 'grows' || form === 'rolls') return true;
      return this.tokens + (form === 'slides' ? 0 : count) <= room;
    });
  }

  /** Whether it goes on where it does not hold all, without the first tokens. */
  get slides(): boolean {
    return this.pairs.every(({ form }) => form !== 'fills' && form !== 'bounds');
  }

  /**
   * Keys that belong to `tokens` tokens, where the model attends to all places of it, filled or not; undefined where it
   * attends to tokens alone.
   */
  places(tokens: number): number | undefined {
    return this.pairs.some(({ form }) => form === 'bounds') ? tokens : undefined;
  }

  /** Takes what a stage gave of it, as it is to be fed next. */
  keep(results: Values): void {
    for (const { input, present, form, axis, room } of this.pairs) {
      const value = results.get(present);
      if (value) this.values.set(input, form === 'slides' ? lastAlong(value, axis, room) : value);
    }
  }

  /** Another that holds the same, and goes its own way. */
  copy(): Cache {
    const other = new Cache(this.pairs);
    other.tokens = this.tokens;
    for (const [name, value] of this.values) other.values.set(name, value);
    return other;
  }
}

/** The last `count` places of an axis. */
function lastAlong(value: Value, axis: number, count: number): Value {
  const { dims, data } = value;
  const extent = dims[axis] ?? 0;
  if (extent <= count) return value;
  const inner = size(dims.slice(axis + 1));
  const outer = size(dims.slice(0, axis));
  const kept = data.slice(0, outer * count * inner);
  for (let i = 0; i < outer; i++) {
    const from = (i * extent + extent - count) * inner;
    bytesOf(kept).set(bytesOf(data.subarray(from, from + count * inner)), i * count * inner * data.BYTES_PER_ELEMENT);
  }
  return { ...value, dims: dims.map((one, at) => (at === axis ? count : one)), data: kept };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: TypedArray) => new Uint8Array(buffer, byteOffset, byteLength);
