/** What a run says of its mixtures of experts: who was sent where, and where massive activations went. */
import type { RoutingStatistics } from '../statistics/statistics.js';
import type { Analysis } from './analysis.js';
import { massiveActivations } from './massive.js';
import type { Thresholds } from './thresholds.js';

/** One expert that a token was sent to. */
export interface ChosenExpert {
  /** Counted from 0. */
  readonly expert: number;
  readonly weight: number;
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

/** By expert the share of tokens that were sent to it, [E]; the shares add up to k. */
export function loadOf({ experts, tokens, indices }: RoutingStatistics): Float64Array {
  const load = new Float64Array(experts);
  for (const expert of indices) load[expert] = (load[expert] ?? 0) + 1 / tokens;
  return load;
}

/**
 * The experts that got tokens on which massive activations arise in block `block` (their onset is h_block), with these
 * tokens: most tokens first. Which of a token's experts made the activation is not told.
 */
export function massiveByExpert(
  analysis: Analysis,
  thresholds: Thresholds,
  block: number,
): { expert: number; tokens: number[] }[] {
  const found = new Map<number, Set<number>>();
  for (const { kind, token, onset } of massiveActivations(analysis, thresholds)) {
    if (kind !== 'massive' || onset !== block) continue;
    for (const { expert } of expertsOf(analysis, token, block) ?? [])
      found.set(expert, (found.get(expert) ?? new Set()).add(token));
  }
  return [...found]
    .map(([expert, tokens]) => ({ expert, tokens: [...tokens].sort((a, b) => a - b) }))
    .sort((a, b) => b.tokens.length - a.tokens.length || a.expert - b.expert);
}
