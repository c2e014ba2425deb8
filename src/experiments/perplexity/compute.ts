/** Perplexity of a text, with the curve that it takes on the way. */
import type { Engine } from '../../engine/host/engine.js';
import { eachAs, type Run } from '../experiment.js';
import { measurePerplexity, type PerplexityRequest, type TextPerplexity, withInterval } from '../shared/perplexity.js';

export interface PerplexityResult {
  /** As far as it is: in the end that of the whole text. */
  readonly value: TextPerplexity;
  /** After each window. */
  readonly running: readonly TextPerplexity[];
}

/** Times that the curve is drawn anew while it grows. */
const drawings = 40;

/** @throws SinkscopeError as {@link measurePerplexity} */
export async function* followPerplexity(
  engine: Engine,
  request: PerplexityRequest,
  signal?: AbortSignal,
): Run<PerplexityResult> {
  const running: TextPerplexity[] = [];
  const value = yield* eachAs(measurePerplexity(engine, request, signal), ({ partial: value, ...progress }) => {
    if (!value) return progress;
    const { done, of } = progress;
    running.push(value);
    const partial = done % Math.ceil(of / drawings) === 0 ? { value, running: [...running] } : undefined;
    return { ...progress, note: `perplexity ${withInterval(value)}`, partial };
  });
  return { value, running };
}
