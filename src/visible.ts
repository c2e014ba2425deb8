/**
 * Text that somebody else wrote (names in files, tokens, paths, what libraries say) as people are shown it. Nothing in
 * it steers a terminal, turns the direction of what follows, begins a line or hides.
 */

/** Signs that join letters of a script and are seen as much as these: Arabic and Kaithi number signs. */
const seen = '\\u0600-\\u0605\\u06DD\\u070F\\u0890\\u0891\\u08E2\\u{110BD}\\u{110CD}';

/**
 * Control characters (C0, C1), breaks of lines and paragraphs, bidirectional controls, what has no width or is to be
 * ignored, and halves of surrogate pairs. A selector of a pictograph's form is left where it follows one.
 */
const unseen = new RegExp(
  `(?![${seen}\\uFE0E\\uFE0F])[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}]|(?<!\\p{Extended_Pictographic})[\\uFE0E\\uFE0F]`,
  'gu',
);

/** `text` on one line, with what cannot be seen written as `\u{200b}`. What is visible already stays as it is. */
export function visible(text: string): string {
  return text.replace(unseen, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** Characters of a name that a sentence has room for. */
const longest = 120;

/** A name fit for a sentence: {@link visible}, and not endless. */
export function named(name: string): string {
  // A character outside of the first plane is not cut in two.
  return name.length > longest ? `${visible(name.slice(0, longest).replace(/[\uD800-\uDBFF]$/, ''))}…` : visible(name);
}

/** As {@link named}, in quotation marks. */
export function quoted(name: string): string {
  return `"${named(name)}"`;
}

/** A value as JSON, exactly, in which what cannot be seen is escaped as JSON has it. */
export function jsonOf(value: unknown, space?: number): string {
  return JSON.stringify(value, undefined, space).replace(unseen, (character) =>
    // Between the parts of indented JSON are line breaks; inside of strings there are none.
    character === '\n'
      ? character
      : character.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}
