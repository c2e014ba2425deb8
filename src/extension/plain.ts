/** Words for VS Code's own surfaces, in which some signs mean more than themselves. Pure. */
import { visible } from '../visible.js';

/**
 * A text that a notification, a label or a title shows as it is: {@link visible}, and without what VS Code makes links
 * (`[text](command:…)`) and icons (`$(name)`) of; a blank parts their signs.
 */
export function plain(text: string): string {
  return visible(text).replace(/\](?=\()|\$(?=\()/g, '$& ');
}

/** The longest name of a file that is proposed. */
const longest = 100;

/** A name for a file that is saved, of a name from elsewhere: of letters, digits, blanks, `.`, `_` and `-` alone. */
export function fileName(name: string): string {
  const cleaned = name.replace(/[^\p{L}\p{M}\p{N} ._-]+/gu, '-').slice(0, longest);
  // A full stop at the beginning hides a file; at the end, as a blank, Windows drops it.
  return cleaned.replace(/^[. ]+|[. ]+$/g, '') || 'sinkscope';
}
