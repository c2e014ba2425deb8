/** What of a text a model does not get to see. */
import type { Token } from './token.js';

/**
 * How many characters of a text the model does not get to see: no token stands for them, or only the unknown one.
 * Blanks, control characters and combining marks, which tokenizers drop by design, are not counted.
 *
 * @param tokens of `text`, in order
 * @param unknown id of the unknown token, where there is one
 */
export function lostCharacters(text: string, tokens: Iterable<Token>, unknown: number | undefined): number {
  let lost = 0;
  let end = 0;
  for (const token of tokens) {
    if (token.start > end) lost += countOf(text.slice(end, token.start));
    // Where the text itself spells the unknown token, that is what the model is to see.
    const isUnknown = token.id === unknown && text.slice(token.start, token.end) !== token.text;
    if (isUnknown) lost += countOf(text.slice(Math.max(end, token.start), token.end));
    end = Math.max(end, token.end);
  }
  return lost + countOf(text.slice(end));
}

const countOf = (text: string) => text.match(/[^\s\p{C}\p{M}]/gu)?.length ?? 0;
