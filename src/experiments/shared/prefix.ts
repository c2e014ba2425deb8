/** Which tokens a prefix is made of that takes what stands out (PrefixQuant, arXiv:2410.05265). */
import { greatest, mean } from '../../statistics/numbers.js';

/** Pieces of a text, and which of their tokens stand out. */
export interface Standing {
  readonly pieces: readonly (readonly number[])[];
  /** By piece and block, tokens whose largest magnitude at what the last product of its MLP reads stands out. */
  readonly outliers: readonly (readonly (readonly number[])[])[];
  /** The token that texts begin with. */
  readonly prefix: number | undefined;
}

export interface PrefixChoice {
  /** By block, tokens of a piece that stand out, on average. */
  readonly means: readonly number[];
  /** How many of a piece stand out where most do, rounded up. */
  readonly count: number;
  /** Tokens behind the first of a piece, with how often they stand out over all blocks and pieces; most frequent first. */
  readonly frequent: readonly { readonly id: number; readonly count: number }[];
  /** Pieces whose first token stands out. */
  readonly first: number;
  /** What is put before a text, in this order; empty: nothing is needed. */
  readonly chosen: readonly number[];
}

/** The most tokens that a prefix is made of. */
const mostTokens = 8;

/** Those that stand out in some block, in their order. */
export const outlierTokens = (blocks: readonly (readonly number[])[]) =>
  [...new Set(blocks.flat())].sort((a, b) => a - b);

/**
 * PrefixQuant's rule: as many tokens as stand out in a piece of the block that has most of them, on average and rounded
 * up; the most frequent first, and last the one that texts begin with. First tokens stand out whatever they are, so that
 * any would do in its place: where none is given, the most frequent of them.
 */
export function prefixOf({ pieces, outliers, prefix }: Standing): PrefixChoice {
  const means = (outliers[0] ?? []).map((_, block) => mean(outliers.map((of) => of[block]?.length ?? 0)));
  const count = Math.ceil(greatest(means, 0));
  const [later, begins] = [new Map<number, number>(), new Map<number, number>()];
  for (const [piece, of] of outliers.entries()) {
    const [begin, ...rest] = pieces[piece] ?? [];
    if (of.some((tokens) => tokens.includes(0))) add(begins, begin);
    for (const token of of.flat()) if (token > 0) add(later, rest[token - 1]);
  }
  const [frequent, first] = [sorted(later), sorted(begins)];
  const start = prefix ?? first[0]?.id;
  const last = start === undefined ? [] : [start];
  const others = frequent.map(({ id }) => id).filter((id) => id !== start);
  const wanted = Math.min(count, mostTokens);
  return {
    means,
    count,
    frequent,
    first: first.reduce((sum, { count: of }) => sum + of, 0),
    chosen: wanted === 0 ? [] : [...others.slice(0, Math.max(0, wanted - last.length)), ...last],
  };
}

function add(counts: Map<number, number>, id: number | undefined): void {
  if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
}

const sorted = (counts: ReadonlyMap<number, number>) =>
  [...counts].map(([id, count]) => ({ id, count })).sort((a, b) => b.count - a.count || a.id - b.id);
