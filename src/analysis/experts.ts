/** What a run says of its mixtures of experts: who was sent where, and where massive activations went. */
import type { RoutingStatistics } from '../statistics/statistics.js';
import type { Analysis } from './analysis.js';
import { type MassiveActivation, massiveActivations } from './massive.js';
import type { Thresholds } from './thresholds.js';

/** One expert that a token was sent to. */
export interface ChosenExpert {
  /** Counted from 0. */
  readonly expert: number;
  readonly weight: number;
}

/** An expert of a token, and what it added to one of the token's entries; undefined where that is not told. */
export interface ExpertOfEntry extends ChosenExpert {
  readonly made: number | undefined;
}

/** The routing of block `block` (1-based); undefined where it has no experts, or the run does not tell. */
export function routingAt({ routing }: Analysis, block: number): RoutingStatistics | undefined {
  const found = routing[block - 1];
  return found && !('why' in found) ? found : undefined;
}

/** The experts of block `block` that `token` was sent to, that of the largest weight first. */
export function expertsOf(analysis: Analysis, token: number, block: number): ChosenExpert[] | undefined {
  const found = routingAt(analysis, block);
  if (!found || token >= found.tokens) return undefined;
  const { chosen, indices, weights } = found;
  return Array.from({ length: chosen }, (_, slot) => ({
    expert: indices[token * chosen + slot] ?? 0,
    weight: weights[token * chosen + slot] ?? Number.NaN,
  }));
}

/** The experts of an entry of h_`block` that arises there. */
export function expertsOfEntry(
  analysis: Analysis,
  { token, dim }: Pick<MassiveActivation, 'token' | 'dim'>,
  block: number,
): ExpertOfEntry[] | undefined {
  const entry = routingAt(analysis, block)?.made?.find((one) => one.token === token && one.dim === dim);
  return expertsOf(analysis, token, block)?.map((expert, slot) => ({ ...expert, made: entry?.made[slot] }));
}

/** By expert the share of tokens that were sent to it, [E]; the shares add up to k. */
export function loadOf({ experts, tokens, indices }: RoutingStatistics): Float64Array {
  const load = new Float64Array(experts);
  for (const expert of indices) load[expert] = (load[expert] ?? 0) + 1 / tokens;
  return load;
}

/**
 * The experts that got tokens on which massive activations arise in block `block` (their onset is h_block), with these
 * tokens: most tokens first. `made` is the largest of what the expert itself added to one of these activations;
 * undefined where that is not told.
 */
export function massiveByExpert(
  analysis: Analysis,
  thresholds: Thresholds,
  block: number,
): { expert: number; tokens: number[]; made: number | undefined }[] {
  const found = new Map<number, { tokens: Set<number>; made: number | undefined }>();
  for (const entry of massiveActivations(analysis, thresholds)) {
    if (entry.kind !== 'massive' || entry.onset !== block) continue;
    for (const { expert, made } of expertsOfEntry(analysis, entry, block) ?? []) {
      const known = found.get(expert);
      const tokens = (known?.tokens ?? new Set()).add(entry.token);
      const isMore = made !== undefined && Math.abs(made) > Math.abs(known?.made ?? 0);
      found.set(expert, { tokens, made: isMore ? made : (known?.made ?? made) });
    }
  }
  return [...found]
    .map(([expert, { tokens, made }]) => ({ expert, tokens: [...tokens].sort((a, b) => a - b), made }))
    .sort((a, b) => b.tokens.length - a.tokens.length || a.expert - b.expert);
}
