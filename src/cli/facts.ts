/** What every figure about one run is printed with. */
import type { RunFacts } from '../experiments/run.js';

export function runJson({ model, name, tokens, total, bos }: RunFacts) {
  return { model, name, T: tokens, total, bos: bos ?? null };
}

export function runWords({ name, tokens, total, bos }: RunFacts): string {
  const part = total > tokens ? ` of ${total}` : '';
  const prefix =
    bos === undefined ? 'ids or tensors as given' : bos ? 'after the prefix token (BOS)' : 'no prefix token';
  return `${name}, T = ${tokens}${part}, ${prefix}.`;
}
