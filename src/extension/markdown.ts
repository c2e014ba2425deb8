/** Markdown that only this extension's own words give a meaning to. Pure. */
import { greatest } from '../statistics/numbers.js';
import { visible } from '../visible.js';

declare const brand: unique symbol;

/** Text of which every sign is meant: what a hover takes, so that nothing else gets into one. */
export type Markdown = string & { readonly [brand]: true };

/** The project's own words, and what is made of numbers alone. Never a text from a file: that is {@link code}. */
export const own = (words: string): Markdown => words as Markdown;

/** Parts that are not empty, with `separator` between them. */
export const joined = (parts: readonly Markdown[], separator: string): Markdown =>
  own(parts.filter((part) => part !== '').join(separator));

/** Any text, in a code span that nothing in it ends: it is on one line, and the fence is longer than any in it. */
export function code(text: string): Markdown {
  const shown = visible(text) || ' ';
  const lengths = (shown.match(/`+/g) ?? []).map(({ length }) => length);
  const fence = '`'.repeat(1 + greatest(lengths, 0));
  // One blank at each end is taken off again.
  const room = /^`|`$|^ .* $/.test(shown) ? ' ' : '';
  return own(`${fence}${room}${shown}${room}${fence}`);
}

/** A link that runs a command. Whether it may is for the hover to say. */
export function commandLink(text: Markdown, command: string, argument: unknown): Markdown {
  const query = encodeURIComponent(JSON.stringify([argument])).replace(/[()]/g, (sign) =>
    sign === '(' ? '%28' : '%29',
  );
  return own(`[${text}](command:${command}?${query})`);
}
