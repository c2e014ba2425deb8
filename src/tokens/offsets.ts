/** A token's range in the text, in UTF-16 code units. */
export type Range = readonly [start: number, end: number];

/**
 * Where tokens stand in their text, from the tokenizer's ranges, which count Unicode code points and leave
 * characters out that an editor needs to be under some token.
 *
 * @param offsets of the tokens of `text`, in order
 */
export function textRanges(text: string, offsets: readonly (readonly number[])[]): Range[] {
  const unit = utf16Index(text);
  let previous = 0;
  const ranges = offsets.map(([from = 0, to = 0]): Range => {
    const end = unit(to);
    // `trim_offsets` takes a token's spaces off its range, all of it where the token is nothing but spaces:
    // these get theirs back, or nobody could see or select them.
    const start = from === to ? Math.min(previous, end) : unit(from);
    previous = end;
    return [start, end];
  });
  return coverMarks(text, ranges);
}

/**
 * Gives combining marks that no token covers to the one before them: a normaliser that joins `e` and U+0301 to `é`
 * (or drops the mark) leaves the range on `e` alone, and half a letter cannot be tinted.
 */
function coverMarks(text: string, ranges: readonly Range[]): Range[] {
  const covered = ranges.slice();
  let next = text.length;
  for (let index = ranges.length - 1; index >= 0; index--) {
    const [start, end] = ranges[index] ?? [0, 0];
    const after = ranges[index + 1];
    if (after?.[1] === end) {
      // Pieces of one character keep one range.
      covered[index] = [start, covered[index + 1]?.[1] ?? end];
    } else if (end < next && text.charCodeAt(end) >= 0x300) {
      const marks = /^\p{M}+/u.exec(text.slice(end, next))?.[0].length ?? 0;
      if (marks > 0) covered[index] = [start, end + marks];
    }
    if (end > start) next = Math.min(next, start);
  }
  return covered;
}

/**
 * A function that takes the index of a code point of `text` (or its end) and gives the index of its first UTF-16
 * unit. A lone surrogate is one code point, as it is where the text crosses into the tokenizer.
 */
function utf16Index(text: string): (codePoint: number) => number {
  if (!/[\u{10000}-\u{10FFFF}]/u.test(text)) return (codePoint) => codePoint;
  const starts = new Uint32Array(text.length + 1);
  let codePoints = 0;
  for (let unit = 0; unit < text.length; unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1) {
    starts[codePoints++] = unit;
  }
  starts[codePoints] = text.length;
  return (codePoint) => starts[Math.min(codePoint, codePoints)] ?? text.length;
}
