/**
 * A text tokenised a part at a time, for the library takes 200 bytes for each character that it is given at once. Parts
 * overlap, and are joined where both have the same tokens for a good while: what a tokenizer makes of a place depends on
 * what stands near it. Where two do not agree, the first is made anew and twice as long, in the end as long as the text.
 */
import type { Range } from './offsets.js';

/** Tokens in order, with their places. */
export interface PlacedIds {
  readonly ids: readonly number[];
  readonly ranges: readonly Range[];
}

/** A part, and where in the text it lies. */
interface Stretch extends PlacedIds {
  readonly from: number;
  readonly to: number;
}

/**
 * The tokens of a text, as they would be if it was tokenised as a whole.
 *
 * @param length characters (UTF-16) of a part; an eighth of them is what two have in common
 * @param encode tokens of a part, with their places in it
 */
export async function* encodeParts(
  text: string,
  length: number,
  encode: (part: string) => Promise<PlacedIds>,
): AsyncGenerator<PlacedIds, void, void> {
  const overlap = Math.ceil(length / 8);
  const stretch = async (from: number, size: number): Promise<Stretch> => {
    const to = wholeCharacters(text, Math.min(text.length, from + size));
    const { ids, ranges } = await encode(text.slice(from, to));
    const placed = from === 0 ? ranges : ranges.map(([start, end]): Range => [start + from, end + from]);
    return { ids, ranges: placed, from, to };
  };

  let now = await stretch(0, length);
  /** Where what has been given ends. */
  let cut = 0;
  const given = (end: number): PlacedIds => {
    const start = now.ranges.findIndex((range) => range[0] >= cut);
    return start < 0
      ? { ids: [], ranges: [] }
      : { ids: now.ids.slice(start, end), ranges: now.ranges.slice(start, end) };
  };
  while (now.to < text.length) {
    const from = restart(now, now.to - overlap);
    const next = from === undefined ? undefined : await stretch(from, length);
    const joint = next && findJoint(now, next, overlap / 4);
    if (next && joint !== undefined) {
      yield given(joint);
      cut = now.ranges[joint]?.[0] ?? now.to;
      now = next;
    } else {
      now = await stretch(now.from, 2 * (now.to - now.from));
    }
  }
  yield given(now.ids.length);
}

/** The start of a token at or before `latest`, in the second half of a part: there the next one may begin. */
function restart({ ranges, from, to }: Stretch, latest: number): number | undefined {
  const index = ranges.findLastIndex(([start], i) => start <= latest && isBoundary(ranges, i));
  const start = ranges[index]?.[0] ?? 0;
  return start > from + (to - from) / 2 ? start : undefined;
}

/**
 * The token of `now` at which `next` takes over: amid a run that both have, which is at least `enough` characters long
 * and ends as many before `now` does, where what was cut off may count.
 */
function findJoint(now: Stretch, next: Stretch, enough: number): number | undefined {
  const last = now.ranges.findLastIndex(([, end]) => end <= now.to - enough);
  const offset = next.ranges.findLastIndex((range) => isSame(range, now.ranges[last])) - last;
  const agrees = (i: number) => now.ids[i] === next.ids[i + offset] && isSame(now.ranges[i], next.ranges[i + offset]);
  let first = last;
  while (first >= 0 && agrees(first)) first--;
  const run = (now.ranges[last]?.[1] ?? 0) - (now.ranges[first + 1]?.[0] ?? 0);
  if (first === last || run < enough) return undefined;
  for (let i = Math.floor((first + last) / 2) + 1; i > first + 1; i--) if (isBoundary(now.ranges, i)) return i;
  return undefined;
}

/** Whether a place of its own ends before token `i` and another begins with it: pieces of one character share theirs. */
function isBoundary(ranges: readonly Range[], i: number): boolean {
  const [before, after] = [ranges[i - 1], ranges[i]];
  return (
    before !== undefined && after !== undefined && before[0] < before[1] && before[1] <= after[0] && after[0] < after[1]
  );
}

function isSame(a: Range | undefined, b: Range | undefined): boolean {
  return a !== undefined && b !== undefined && a[0] === b[0] && a[1] === b[1];
}

/** `end`, or one less where it would cut a character in two. */
function wholeCharacters(text: string, end: number): number {
  return end < text.length && end > 1 && (text.codePointAt(end - 1) ?? 0) > 0xffff ? end - 1 : end;
}
