/** What the guard of the engine's process is told, and what it says: what that process is at, and why it ends it. */
import * as v from 'valibot';

const count = v.pipe(v.number(), v.minValue(0));

/**
 * Said on a pipe of its own to the parent, a line of JSON each. `what` the process is at, in words: should native code
 * end it, only the parent is left to say what it was at.
 */
export const note = v.variant('kind', [
  v.object({ kind: v.literal('at'), what: v.string() }),
  v.object({ kind: v.literal('memory'), what: v.string(), bytes: count, limit: count }),
  v.object({ kind: v.literal('time'), what: v.string(), seconds: count, of: v.picklist(['work', 'waiting']) }),
]);

export type Note = v.InferOutput<typeof note>;

/** Descriptor of that pipe in the engine's process; its end there means that the parent is gone. */
export const pipe = 4;

/** What the process may do from now on. */
export interface Bounds {
  /** What it is at, in words that follow "while". */
  readonly what: string;
  /** Bytes that it may hold in all. */
  readonly bytes: number;
  /**
   * How long it may be at it; undefined: as long as it takes. Processor time, in seconds, so that other programs take
   * nothing away from it; and time by the clock, for what waits for something that does not come.
   */
  readonly seconds?: { readonly work: number; readonly waiting: number } | undefined;
}
