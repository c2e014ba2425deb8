/** What a model has to have for what is asked of it, and has not. */
import { SinkscopeError } from '../../errors.js';

/** @param so what follows from it, as in `there is no perplexity` */
export function withoutHead(file: string, so: string): SinkscopeError {
  const message = `${file} predicts no tokens: it has no output head over a vocabulary, so ${so}.`;
  return new SinkscopeError({ code: 'input', file, message });
}
