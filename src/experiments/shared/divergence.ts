/** How far a file is from the model that it was made from, summed over windows. */
import type { PairedEvent } from '../../engine/contract/pair.js';
import { greatest, mean, quantile, sum } from '../../statistics/numbers.js';

/** KL(model ‖ file) of the next token's distributions over scored tokens, in nats. */
export interface Kld {
  readonly mean: number;
  readonly median: number;
  /** The 99th percentile. */
  readonly p99: number;
  readonly max: number;
}

/** Signal to noise in decibels, 20 log₁₀(‖h_k‖ ÷ ‖h′_k − h_k‖); Infinity where nothing differs, NaN where h′_k is not finite. */
export interface Sqnr {
  /** In the file's own run: what all blocks up to k have made of it. */
  readonly cumulative: number;
  /** Where the file's block k is given the model's h_(k-1): what it adds by itself. */
  readonly local: number;
}

/** Mean KLD in nats where one part is exchanged between the two. */
export interface Swap {
  /** The model with this part of the file alone; undefined where it was not asked for. */
  readonly alone: number | undefined;
  /** The file with this part of the model. */
  readonly restored: number;
}

export interface Divergence {
  readonly kld: Kld;
  /** Share of scored tokens at which both have the same most likely token. */
  readonly sameTop: number;
  /** Root of the mean square of what the probability of the token that follows changes by. */
  readonly rmsDp: number;
  /** Of h_k, by k. */
  readonly sqnr: readonly Sqnr[];
  /** Of the embedding (0), the blocks from 1 on, and the output head. */
  readonly swap: readonly Swap[];
}

/** All windows together: states by their energy, the rest by scored token. */
export function divergenceOf(windows: readonly PairedEvent[]): Divergence {
  const klds = windows.flatMap(({ kld }) => [...kld]);
  const changes = windows.flatMap(({ change }) => [...change]);
  const overWindows = <K extends 'states' | 'swaps'>(key: K, i: number, of: (one: PairedEvent[K][number]) => number) =>
    sum(windows.flatMap((window) => window[key].slice(i, i + 1).map(of)));
  const decibels = (signal: number, noise: number) => 10 * Math.log10(signal / noise);
  const [first] = windows;
  return {
    kld: { mean: mean(klds), median: quantile(klds, 0.5), p99: quantile(klds, 0.99), max: greatest(klds) },
    sameTop: mean(windows.flatMap(({ same }) => [...same])),
    rmsDp: Math.sqrt(mean(changes.map((change) => change ** 2))),
    sqnr: (first?.states ?? []).map((_, k) => {
      const signal = overWindows('states', k, (one) => one.signal);
      const noise = (kind: 'cumulative' | 'local') => overWindows('states', k, (one) => one[kind]);
      return { cumulative: decibels(signal, noise('cumulative')), local: decibels(signal, noise('local')) };
    }),
    swap: (first?.swaps ?? []).map((_, part) => {
      const kld = (kind: 'alone' | 'restored') => overWindows('swaps', part, (one) => one[kind] ?? 0) / klds.length;
      const isAlone = first?.swaps[part]?.alone !== undefined;
      return { alone: isAlone ? kld('alone') : undefined, restored: kld('restored') };
    }),
  };
}

/** What a part of a swap is called: `embedding`, `block 3`, `head`. */
export function swappedName(part: number, layers: number): string {
  return part === 0 ? 'embedding' : part > layers ? 'head' : `block ${part}`;
}

/** The same in a sentence: `the embedding`, `block 3`, `the output head`. */
export function swappedInWords(part: number, layers: number): string {
  return part === 0 ? 'the embedding' : part > layers ? 'the output head' : `block ${part}`;
}
