/** How far a file is from the model that it was made from, summed over windows. */
import { type ComparedEvent, farther, type PairedEvent } from '../../engine/contract/pair.js';
import type { RequestOf } from '../../engine/contract/protocol.js';
import type { Engine } from '../../engine/host/engine.js';
import { greatest, mean, quantile, sum } from '../../statistics/numbers.js';
import type { Progress } from '../experiment.js';
import { Losses, type Perplexity } from './perplexity.js';
import { follow, progressThrough } from './text.js';

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
  /** Of h_k, by k; not to the end while the first windows are on their way. */
  readonly sqnr: readonly Sqnr[];
  /**
   * Of the embedding (0), the blocks from 1 on, and the output head; empty until a window is through. Where parts were seen
   * in some windows alone, what they leave of the divergence there, of all of it.
   */
  readonly swap: readonly Swap[];
  /** By k, the entry of h_k that the file's block k moves most by itself; undefined where it moves nothing. */
  readonly farthest: readonly ComparedEvent['farthest'][];
  /** Which of the scored tokens of a sequence is predicted farthest from what the model predicts there; undefined of no window. */
  readonly worst: { readonly sequence: number; readonly scored: number; readonly kld: number } | undefined;
}

/** How far the two are apart by what is known of them: states by their energy, the rest by scored token. */
export class Comparison {
  private readonly windows: PairedEvent[] = [];
  private readonly farthest: ComparedEvent['farthest'][] = [];
  /** Of h_k by k, over all that came there. */
  private readonly states: { signal: number; cumulative: number; local: number }[] = [];
  /** Those that alone say how far the two are apart, where others are pieces of them. */
  private readonly whole = new Set<PairedEvent>();

  /** @param isWhole whether windows like this one alone count, but for what their parts cost */
  add(event: ComparedEvent | PairedEvent, isWhole = false): void {
    if (event.type === 'compared') {
      const { block, signal, cumulative, local, farthest } = event;
      this.farthest[block] = farther(this.farthest[block], farthest);
      const before = this.states[block] ?? { signal: 0, cumulative: 0, local: 0 };
      this.states[block] = {
        signal: before.signal + signal,
        cumulative: before.cumulative + cumulative,
        local: before.local + local,
      };
      return;
    }
    this.windows.push(event);
    if (isWhole) this.whole.add(event);
  }

  private get counted(): readonly PairedEvent[] {
    return this.whole.size > 0 ? [...this.whole] : this.windows;
  }

  /** Of the two; of no tokens until a window is through. */
  get perplexity(): { readonly reference: Perplexity; readonly model: Perplexity } {
    const of = (side: keyof PairedEvent['losses']): Perplexity => {
      const losses = new Losses();
      for (const window of this.counted) losses.add(window.losses[side]);
      return losses.perplexity;
    };
    return { reference: of('reference'), model: of('model') };
  }

  get divergence(): Divergence {
    const { windows, counted, farthest } = this;
    const klds = counted.flatMap(({ kld }) => [...kld]);
    // What is no number is above all.
    const places = counted.flatMap(({ sequence, kld }) =>
      Array.from(kld, (nats, scored) => ({
        sequence,
        scored,
        kld: Number.isNaN(nats) ? Number.POSITIVE_INFINITY : nats,
      })),
    );
    const worst = places.reduce<Divergence['worst']>(
      (most, one) => (most && most.kld >= one.kld ? most : one),
      undefined,
    );
    const changes = counted.flatMap(({ change }) => [...change]);
    const decibels = (signal: number, noise: number) => 10 * Math.log10(signal / noise);
    const seen = windows.filter(({ swaps }) => swaps.length > 0);
    const [first] = seen;
    const there = seen.flatMap(({ kld }) => [...kld]);
    const share = counted.every(({ swaps }) => swaps.length > 0) ? 1 : mean(klds) / mean(there);
    // Of divergences that are no numbers there are no shares.
    const scale = (Number.isFinite(share) ? share : 1) / there.length;
    return {
      kld: { mean: mean(klds), median: quantile(klds, 0.5), p99: quantile(klds, 0.99), max: greatest(klds) },
      farthest,
      worst,
      sameTop: mean(counted.flatMap(({ same }) => [...same])),
      rmsDp: Math.sqrt(mean(changes.map((change) => change ** 2))),
      sqnr: this.states.map(({ signal, cumulative, local }) => {
        return { cumulative: decibels(signal, cumulative), local: decibels(signal, local) };
      }),
      swap: (first?.swaps ?? []).map((_, part) => {
        const ofPart = (kind: keyof Swap) => scale * sum(seen.map(({ swaps }) => swaps[part]?.[kind] ?? 0));
        const isAlone = first?.swaps[part]?.alone !== undefined;
        return { alone: isAlone ? ofPart('alone') : undefined, restored: ofPart('restored') };
      }),
    };
  }
}

/** Times that a comparison is shown anew once windows are through. */
const drawings = 40;

/**
 * Runs a comparison, and yields it as far as it is: at every block of the first windows, then as windows are through.
 *
 * @param rest sequences that the two are run on as they are, after those of the request, which may be pieces of them: then
 *   what these predict counts alone
 * @throws SinkscopeError where the models cannot be compared; `cancelled` when `signal` is aborted
 */
export async function* compared(
  engine: Engine,
  request: RequestOf<'pair'>,
  signal: AbortSignal | undefined,
  rest: { readonly sequences: RequestOf<'pair'>['sequences']; readonly alone: boolean } = {
    sequences: [],
    alone: false,
  },
): AsyncGenerator<Progress & { readonly partial?: Comparison }, Comparison, void> {
  const comparison = new Comparison();
  yield* following(engine, request, comparison, signal);
  const { sequences, alone } = rest;
  if (sequences.length > 0)
    yield* following(engine, { ...request, sequences, parts: false }, comparison, signal, alone);
  return comparison;
}

async function* following(
  engine: Engine,
  request: RequestOf<'pair'>,
  comparison: Comparison,
  signal: AbortSignal | undefined,
  isWhole = false,
): AsyncGenerator<Progress & { readonly partial?: Comparison }, void, void> {
  const phase = request.parts === false ? 'comparing the rest' : 'comparing';
  const progress = progressThrough(phase, request.sequences.length);
  const every = Math.ceil(request.sequences.length / drawings);
  let now: Progress = { phase, done: 0, of: request.sequences.length };
  for await (const event of follow(engine.run('pair', request, signal))) {
    if (event.type === 'compared') {
      comparison.add(event);
      if (now.done === 0) yield { ...now, partial: comparison };
      continue;
    }
    now = progress(event);
    if (event.type === 'paired') comparison.add(event, isWhole);
    const isShown = event.type === 'paired' && now.done % every === 0;
    yield { ...now, ...(isShown && { partial: comparison }) };
  }
}

/** What a part of a swap is called: `embedding`, `block 3`, `head`. */
export function swappedName(part: number, layers: number): string {
  return part === 0 ? 'embedding' : part > layers ? 'head' : `block ${part}`;
}

/** The same in a sentence: `the embedding`, `block 3`, `the output head`. */
export function swappedInWords(part: number, layers: number): string {
  return part === 0 ? 'the embedding' : part > layers ? 'the output head' : `block ${part}`;
}
