/** Text that a model writes behind a place in a document, until it is taken or thrown away. */
import type { TextChange } from './ranges.js';

export interface Continuation {
  /** Where what is left of it is to stand, in UTF-16 code units. */
  readonly at: number;
  /** All that was written, with LF. */
  readonly text: string;
  /** Characters of `text` that stand in the document by now. */
  readonly taken: number;
}

/** What can be taken still. */
export const rest = ({ text, taken }: Continuation): string => text.slice(taken);

/**
 * What becomes of it with edits: its own beginning put where it is to stand is taken from it, as is done word by word,
 * and typed; what comes behind it is no matter. Undefined where the text that it follows from is another one now.
 */
export function afterEdits(before: Continuation, changes: readonly TextChange[]): Continuation | undefined {
  let now = before;
  for (const { rangeOffset, rangeLength, text } of changes) {
    if (rangeOffset > now.at || (rangeOffset === now.at && text === '')) continue;
    // A document with CR LF is given them.
    const put = text.replaceAll('\r\n', '\n');
    if (rangeOffset < now.at || rangeLength > 0 || !rest(now).startsWith(put)) return undefined;
    now = { ...now, at: now.at + text.length, taken: now.taken + put.length };
  }
  return now;
}
