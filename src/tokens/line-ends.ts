/** Line ends of a text: models are trained on LF alone, and Python reads all as that. */

/** `lf`: CR LF and CR are read as LF. */
export type LineEnds = 'lf' | 'as-is';

/** A text as it is tokenised, and where its characters stand in the document. */
export interface ReadText {
  readonly text: string;
  /** The offset in the document of one in the text; a line end that was two characters begins with the first. */
  place(offset: number): number;
  /** Line ends that are read as another one. */
  readonly changed: number;
}

export function readText(document: string, lineEnds: LineEnds): ReadText {
  if (lineEnds === 'as-is' || !document.includes('\r'))
    return { text: document, place: (offset) => offset, changed: 0 };
  /** Offsets, in the text, of line ends that were two characters. */
  const pairs: number[] = [];
  let changed = 0;
  const text = document.replace(/\r\n?/g, (end, at: number) => {
    changed++;
    if (end.length === 2) pairs.push(at - pairs.length);
    return '\n';
  });
  return { text, place: (offset) => offset + countBelow(pairs, offset), changed };
}

/** How many of these, which ascend, are below a number. */
function countBelow(ascending: readonly number[], bound: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
