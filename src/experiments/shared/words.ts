/** Inputs that are a word or a list of indices. */
import { SinkscopeError } from '../../errors.js';

/** One of `words` where `given` is one, else what `otherwise` makes of it. */
export function wordOr<const Word extends string, T>(
  given: string,
  words: readonly Word[],
  otherwise: () => T,
): Word | T {
  return words.find((word) => word === given.trim()) ?? otherwise();
}

/**
 * Indices from 0 on, parted by commas or blanks.
 *
 * @param what they are called, for the message
 * @throws SinkscopeError `input` where it is no such list
 */
export function indices(what: string, given: string): number[] {
  const found = given.split(/[\s,]+/).filter((part) => part !== '');
  if (found.length > 0 && found.every((part) => /^\d{1,9}$/.test(part))) return found.map(Number);
  throw new SinkscopeError({
    code: 'input',
    message: `${what} are whole numbers from 0 on, as in 0, 3, or one of the words of their field; not "${given}".`,
  });
}
