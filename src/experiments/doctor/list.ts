/** The fewest products to keep, found greedily: each next one is chosen by what it gains beside those that are kept. */
import type { Progress } from '../experiment.js';

/** What may be kept together, by index of its products. */
export interface Candidate {
  readonly indices: readonly number[];
  /** Mean KLD with this alone kept. */
  readonly restored: number;
  /** Where that was measured as a list; else it is an estimate. */
  readonly found?: Measured | undefined;
}

/** What a list gives. */
export interface Measured {
  readonly kld: number;
  readonly perplexity: number;
}

export interface ListStep extends Measured {
  readonly list: readonly number[];
}

export interface Search {
  readonly choices: readonly Candidate[];
  /** Mean KLD with nothing kept, and what it is to come under. */
  readonly kld: number;
  readonly aim: number;
  /** Lists that may be measured to choose the next; then the order that is known by then decides. */
  readonly most: number;
  measure(lists: readonly (readonly number[])[]): AsyncGenerator<Progress, readonly Measured[], void>;
}

export interface Searched {
  /** One choice more each. */
  readonly steps: readonly ListStep[];
  /** Whether `most` was spent before the end: choices since then are not by what they gain beside the others. */
  readonly bounded: boolean;
}

const nothing: Measured = { kld: Number.NaN, perplexity: Number.NaN };

/** Lists that are measured together: a block is made once for all of them. */
const together = 4;

interface Open {
  readonly indices: readonly number[];
  /** By product: what it gained when it was measured last, beside as many choices as `beside`. */
  gain: number;
  beside: number;
  found: Measured | undefined;
}

/**
 * Keeps the choice that gains most per product, until the aim is reached or nothing is left. What a choice gained beside
 * fewer is taken as the most that it may gain beside more, so that only those at the top of the order are measured anew
 * (Minoux 1978's accelerated greedy algorithm).
 */
export async function* searchList(
  search: Search,
): AsyncGenerator<Progress & { readonly steps: readonly ListStep[] }, Searched, void> {
  const { choices, aim, most, measure } = search;
  const steps: ListStep[] = [];
  const open = choices.map(({ indices, restored, found }): Open => {
    return { indices, gain: gainOf(search.kld, restored, indices), beside: found ? 0 : -1, found };
  });
  const kept = () => steps.at(-1)?.list ?? [];
  const now = () => steps.at(-1)?.kld ?? search.kld;
  const isReached = () => now() <= aim;
  let spent = 0;
  const order = () => open.sort((a, b) => b.gain - a.gain);
  while (open.length > 0 && !isReached()) {
    const [first] = order();
    if (first?.found && first.beside === steps.length) {
      steps.push({ list: [...kept(), ...first.indices], ...first.found });
      open.shift();
      continue;
    }
    const stale = open.slice(0, together).filter(({ beside }) => beside !== steps.length);
    spent += stale.length;
    if (spent > most) return { steps: yield* inOrder(search, steps, order()), bounded: true };
    const measured = yield* showing(measure(stale.map(({ indices }) => [...kept(), ...indices])), steps);
    for (const [i, one] of stale.entries()) {
      const found = measured[i];
      one.found = found ?? nothing;
      one.beside = steps.length;
      one.gain = gainOf(now(), found?.kld ?? Number.NaN, one.indices);
    }
  }
  return { steps, bounded: false };
}

async function* inOrder(
  { aim, measure }: Search,
  steps: readonly ListStep[],
  open: readonly Open[],
): AsyncGenerator<Progress & { readonly steps: readonly ListStep[] }, readonly ListStep[], void> {
  const all = [...steps];
  for (let from = 0; from < open.length; from += together) {
    const lists: (readonly number[])[] = [];
    for (const { indices } of open.slice(from, from + together))
      lists.push([...(lists.at(-1) ?? all.at(-1)?.list ?? []), ...indices]);
    const measured = yield* showing(measure(lists), all);
    for (const [i, list] of lists.entries()) {
      const found = measured[i];
      if (found) all.push({ list, ...found });
      if (found && found.kld <= aim) return all;
    }
  }
  return all;
}

/** How far it is, with the steps until now. */
async function* showing<R>(
  run: AsyncGenerator<Progress, R, void>,
  steps: readonly ListStep[],
): AsyncGenerator<Progress & { readonly steps: readonly ListStep[] }, R, void> {
  let step = await run.next();
  for (; !step.done; step = await run.next()) yield { ...step.value, steps: [...steps] };
  return step.value;
}

/** Of a divergence that is no number any other is worth more than all that can be gained besides. */
const worth = (kld: number) => (Number.isNaN(kld) ? 1e9 : kld);

const gainOf = (before: number, after: number, { length }: readonly number[]) =>
  (worth(before) - worth(after)) / Math.max(1, length);
