/** Damaged copies of files. */

/** Numbers from 0 to below 1. */
export type Random = () => number;

/** Deterministic numbers in [0, 1): mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const below = (random: Random, bound: number) => Math.floor(random() * bound);
export const pick = <T>(random: Random, items: readonly T[]): T => items[below(random, items.length)] as T;

/** A copy with bits flipped, bytes overwritten, cut off, doubled or left out. */
export const damaged = (bytes: Uint8Array, random: Random): Uint8Array =>
  pick(random, byteMutations)(Uint8Array.from(bytes), random);

type ByteMutation = (bytes: Uint8Array, random: Random) => Uint8Array;

/** What decides how a file is read is more often near its start than the rest. */
const place = (bytes: Uint8Array, random: Random) => Math.floor(random() ** 2 * bytes.length);

const byteMutations: readonly ByteMutation[] = [
  function flipped(bytes, random) {
    const copy = bytes.slice();
    for (let i = 0; i <= below(random, 24); i++) {
      const at = place(copy, random);
      copy[at] = (copy[at] ?? 0) ^ (1 << below(random, 8));
    }
    return copy;
  },
  function overwritten(bytes, random) {
    const copy = bytes.slice();
    const start = place(copy, random);
    const value = pick(random, [0x00, 0x7f, 0x80, 0xff]);
    return copy.fill(value, start, start + 1 + below(random, 16));
  },
  function truncated(bytes, random) {
    return bytes.slice(0, place(bytes, random));
  },
  function spliced(bytes, random) {
    const [from, to, length] = [place(bytes, random), place(bytes, random), 1 + below(random, 400)];
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from, from + length), bytes.subarray(to)]);
  },
  function cut(bytes, random) {
    const start = place(bytes, random);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + 1 + below(random, 400))]);
  },
];
