/** What every figure about one run depends on, as JSON. */
import type { RunFacts } from '../experiments/shared/run.js';

export function runJson({ model, name, tokens, sequence, window, total, bos }: RunFacts) {
  return {
    model,
    name,
    T: tokens,
    total,
    window,
    bos: bos ?? null,
    tokens: sequence.map(({ id, text }) => ({ id, text })),
  };
}
