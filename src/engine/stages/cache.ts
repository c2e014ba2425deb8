/** The keys and values of the tokens that a sequence has behind it. */

import type { CachePair } from '../../anatomy/caches.js';
import { least } from '../../statistics/numbers.js';
import { size, type TypedArray, type Value, type Values } from '../tensors/value.js';

/** Memory that is made for a value that grows, of what it takes. */
const slack = 1 + 1 / 16;

/** What a lane owns that goes on where it was: what its next run is fed in place of the tokens before. */
export class LaneCache {
  /** Tokens behind it, those that it no longer holds among them. */
  tokens = 0;
  /** By the name of the input that takes it. */
  readonly values = new Map<string, Value>();
  /** A run has begun that is not through: some parts hold its tokens, and others do not. */
  private begun = false;
  /** What a run that is not through adds behind some of it, by input. */
  private readonly added = new Map<string, Value>();
  /** Inputs whose value lies in memory of this cache alone, with room behind it. */
  private readonly own = new Set<string>();

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
    const limited = this.pairs.filter(({ form }) => form === 'slides' || form === 'fills' || form === 'bounds');
    return least(limited.map(({ room }) => room));
  }

  /** How little it holds, in words. */
  get holding(): string {
    return Number.isFinite(this.room)
      ? `its cache has room for ${this.room} tokens`
      : 'its cache keeps the last tokens';
  }

  /** Whether nothing that is behind it is lost to `count` tokens more. */
  holds(count: number): boolean {
    return this.pairs.every((pair) => {
      const { form, room } = pair;
      if (this.tokens === 0 || form === 'grows' || form === 'rolls' || form === 'state') return true;
      if (form === 'trims') return this.holdsAll(pair);
      return this.tokens + (form === 'slides' ? 0 : count) <= room;
    });
  }

  /** Whether the graph has cut nothing off a part yet. */
  private holdsAll({ input, axis }: CachePair): boolean {
    return (this.values.get(input)?.dims[axis] ?? 0) >= this.tokens;
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

  /**
   * Takes what a stage gave of it, as it is to be fed next: all of it, or what is added behind it, which waits until no
   * stage reads what was fed any more.
   */
  keep(results: Values): void {
    this.begun = true;
    for (const { input, present, added = '', form, axis, room } of this.pairs) {
      const [value, more] = [results.get(present), results.get(added)];
      if (value) {
        this.own.delete(input);
        this.values.set(input, form === 'slides' ? lastAlong(value, axis, room) : value);
      } else if (more) this.added.set(input, more);
    }
  }

  /** All stages have given theirs of `count` tokens more. */
  passed(count: number): void {
    this.tokens += count;
    this.begun = false;
    for (const { input, axis } of this.pairs) {
      const more = this.added.get(input);
      if (!more) continue;
      const before = this.values.get(input);
      this.values.set(input, before ? behind(before, more, axis, this.own.has(input)) : more);
      if (before) this.own.add(input);
    }
    this.added.clear();
  }

  /** Whether it can go {@link back} to `count` tokens: what no longer holds the first ones cannot. */
  reaches(count: number): boolean {
    if (count === this.tokens && !this.begun) return true;
    return count <= this.tokens && this.pairs.every((pair) => this.placesOf(pair, count));
  }

  /** Goes back to where the first `count` tokens were behind it, also out of a run that was not through. */
  back(count: number): void {
    if (count === this.tokens && !this.begun) return;
    this.added.clear();
    this.own.clear();
    for (const pair of this.pairs) {
      const [value, place] = [this.values.get(pair.input), this.placesOf(pair, count)];
      if (value && place) this.values.set(pair.input, moved(value, pair.axis, { count, ...place }));
    }
    this.tokens = count;
    this.begun = false;
  }

  /** Where a part has its first `count` tokens, and where they are to be; undefined where it does not hold them. */
  private placesOf(pair: CachePair, count: number): Omit<Move, 'count'> | undefined {
    const { form, room } = pair;
    if (form === 'state' || (form === 'trims' && (this.begun || !this.holdsAll(pair)))) return undefined;
    if (form === 'grows' || form === 'trims') return { from: 0, to: 0, places: count };
    if (this.tokens > room) return undefined;
    if (form !== 'slides') return { from: 0, to: 0, places: room };
    return this.begun ? undefined : { from: room - this.tokens, to: room - count, places: room };
  }

  /** Another that holds the same, and goes its own way. */
  copy(): LaneCache {
    // From now on both have the values of this one, and neither may write over them.
    this.own.clear();
    const other = new LaneCache(this.pairs);
    other.tokens = this.tokens;
    for (const [name, value] of this.values) other.values.set(name, value);
    return other;
  }
}

/** Places of an axis that are kept, and where they stand among `places` of which the others are empty. */
interface Move {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly places: number;
}

/**
 * A value with another behind it along an axis. What is fed for each new token, and not looked at otherwise, would be a
 * collection of garbage for each: it stays where it is, as long as there is room.
 *
 * @param over whether the value's own memory may be written over
 */
function behind(value: Value, more: Value, axis: number, over: boolean): Value {
  const dims = value.dims.map((extent, at) => (at === axis ? extent + (more.dims[at] ?? 0) : extent));
  const elements = value.data.constructor as new (
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
  ) => TypedArray;
  const bytes = size(dims) * value.data.BYTES_PER_ELEMENT;
  const stays = over && value.data.buffer.byteLength >= bytes;
  const buffer = stays ? value.data.buffer : new ArrayBuffer(Math.ceil((bytes * slack) / 8) * 8);
  const [from, to, added] = [bytesOf(value.data), new Uint8Array(buffer), bytesOf(more.data)];
  const outer = size(dims.slice(0, axis));
  const [kept, next] = [from.length / outer, added.length / outer];
  // From the last on: each moves to where those behind it were.
  for (let i = outer - 1; i >= 0; i--) {
    if (stays) to.copyWithin(i * (kept + next), i * kept, (i + 1) * kept);
    else to.set(from.subarray(i * kept, (i + 1) * kept), i * (kept + next));
    to.set(added.subarray(i * next, (i + 1) * next), i * (kept + next) + kept);
  }
  return { ...value, dims, data: new elements(buffer, 0, size(dims)) };
}

/** The last `count` places of an axis. */
function lastAlong(value: Value, axis: number, count: number): Value {
  const extent = value.dims[axis] ?? 0;
  return extent <= count ? value : moved(value, axis, { from: extent - count, to: 0, count, places: count });
}

/** A value, of no fewer places than are wanted, with some of them along an axis. */
function moved(value: Value, axis: number, { from, to, count, places }: Move): Value {
  const { dims, data } = value;
  const extent = dims[axis] ?? 0;
  const inner = size(dims.slice(axis + 1));
  const outer = size(dims.slice(0, axis));
  const kept = data.slice(0, outer * places * inner);
  const bytes = bytesOf(kept);
  if (count < places) bytes.fill(0);
  for (let i = 0; i < outer; i++) {
    const start = (i * extent + from) * inner;
    bytes.set(bytesOf(data.subarray(start, start + count * inner)), (i * places + to) * inner * data.BYTES_PER_ELEMENT);
  }
  return { ...value, dims: dims.map((one, at) => (at === axis ? places : one)), data: kept };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: TypedArray) => new Uint8Array(buffer, byteOffset, byteLength);
