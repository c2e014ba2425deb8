/**
 * Secondary sinks (arXiv:2512.22213): tokens whose hidden state turns, between the rise and the fall of the first
 * token's massive activation, into what the first token's is.
 */
import { kindOf } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { BegunEvent, WrittenEvent } from '../../engine/contract/generate.js';
import { greatest } from '../../statistics/numbers.js';

/** Above this cosine a token is like the first one, as the paper has it. */
export const likeTheFirst = 0.9;

export interface SecondarySink {
  /** From the prompt's first. */
  readonly token: number;
  /** k of the h_k in which it is like the first one, of the middle layers. */
  readonly layers: readonly number[];
  /** The largest of its cosines there. */
  readonly cosine: number;
}

/** The layers in which the first token's largest entry is massive, k of h_k. */
export function middleLayers({ states }: Pick<BegunEvent, 'states'>, thresholds: Thresholds): number[] {
  return states.flatMap((state, layer) =>
    kindOf(state.tokenMax[0] ?? 0, state, thresholds) === 'massive' ? [layer] : [],
  );
}

/** Those of a text by now; none where the first token carries nothing massive. */
export function secondarySinks(
  begun: Pick<BegunEvent, 'states' | 'alike'>,
  written: readonly Pick<WrittenEvent, 'alike'>[],
  thresholds: Thresholds,
): SecondarySink[] {
  const middle = middleLayers(begun, thresholds);
  const prompt = begun.alike[0]?.length ?? 0;
  const cosine = (token: number, layer: number) =>
    (token < prompt ? begun.alike[layer]?.[token] : written[token - prompt]?.alike[layer]) ?? Number.NaN;
  const found: SecondarySink[] = [];
  for (let token = 1; token < prompt + written.length; token++) {
    const layers = middle.filter((layer) => cosine(token, layer) > likeTheFirst);
    if (layers.length === 0) continue;
    found.push({ token, layers, cosine: greatest(layers.map((layer) => cosine(token, layer))) });
  }
  return found;
}
