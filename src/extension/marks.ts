/** Which tokens are marked, how, and where in the document. Pure; `decorations.ts` paints it. */
import type { Analysis } from '../analysis/analysis.js';
import { tokenLabel } from '../analysis/label.js';
import { type Kind, massiveActivations } from '../analysis/massive.js';
import { sinks } from '../analysis/sinks.js';
import type { Thresholds } from '../analysis/thresholds.js';
import { askedLevel, isAsked, type Tint, tintLevel, tintLevels, tokenMultiples } from '../analysis/tint.js';
import type { TextRange } from './ranges.js';

export interface Marks {
  /** By level; neighbours of one level are one range. */
  readonly tints: readonly (readonly TextRange[])[];
  readonly massive: readonly TextRange[];
  readonly large: readonly TextRange[];
  readonly sinks: readonly TextRange[];
  readonly selected: TextRange | undefined;
  readonly prefix: Prefix | undefined;
}

/** Tokens put before the text, which stand for none of it: shown where the text begins. */
export interface Prefix extends TokenMark {
  /** An offset into the document. */
  readonly at: number;
  /** The first of them that has a sign. */
  readonly marked: number | undefined;
  readonly label: string;
  readonly selected: boolean;
}

/** What is to be seen of one token, wherever it is. */
export interface TokenMark {
  /** Of its tint, 1 … 8; 0 for none. */
  readonly level: number;
  readonly kind: Kind | undefined;
  readonly sink: boolean;
}

/** The signs of a token; the anchor as text, not as a picture. */
export function signs({ kind, sink }: Partial<TokenMark>): string {
  return (kind ? { massive: '▲', large: '△' }[kind] : '') + (sink ? '⚓\uFE0E' : '');
}

/**
 * The mark of every token, over all layers that have arrived, or with the tint of one layer.
 *
 * @param asked by token, what the tint asks for: nats, or shares of the largest saliency; undefined: not known by now
 */
export function tokenMarks(
  analysis: Analysis,
  thresholds: Thresholds,
  tint: Tint,
  layer?: number,
  asked?: ArrayLike<number>,
): TokenMark[] {
  const kinds = new Map<number, Kind>();
  for (const { token, kind } of massiveActivations(analysis, thresholds)) {
    if (kinds.get(token) !== 'massive') kinds.set(token, kind);
  }
  const sinkTokens = new Set(sinks(analysis, thresholds).sinks.map(({ token }) => token));
  return tokenMultiples(analysis, layer).map((multiple, token) => ({
    level: isAsked(tint) ? askedLevel(tint, asked?.[token]) : tintLevel(multiple, tint, thresholds),
    kind: kinds.get(token),
    sink: sinkTokens.has(token),
  }));
}

/**
 * Marks of `analysis` in the document.
 *
 * @param ranges where each token is, as in `ShownRun.ranges`
 * @param selection of which the tint may be of one layer
 * @param asked as for {@link tokenMarks}
 */
export function placeMarks(
  analysis: Analysis,
  ranges: readonly (TextRange | undefined)[],
  thresholds: Thresholds,
  tint: Tint,
  selection: { readonly token?: number; readonly layer?: number },
  asked?: ArrayLike<number>,
): Marks {
  const marks = tokenMarks(analysis, thresholds, tint, selection.layer, asked);
  const placed = mergeSameRange(marks, ranges);
  const where = (test: (mark: TokenMark) => boolean) =>
    placed.filter(({ mark }) => test(mark)).map(({ range }) => range);
  return {
    tints: Array.from({ length: tintLevels }, (_, i) => joined(where(({ level }) => level === i + 1))),
    massive: where(({ kind }) => kind === 'massive'),
    large: where(({ kind }) => kind === 'large'),
    sinks: where(({ sink }) => sink),
    selected: selection.token === undefined ? undefined : ranges[selection.token],
    prefix: prefixMark(analysis, marks, ranges, selection.token),
  };
}

/** The offset of the next marked token behind (or before) `offset`, from the other end where there is none. */
export function nextMark({ massive, large, sinks, prefix }: Marks, offset: number, back: boolean): number | undefined {
  const starts = [...massive, ...large, ...sinks].map(({ start }) => start);
  if (prefix?.marked !== undefined) starts.push(prefix.at);
  const places = [...new Set(starts)].sort((a, b) => a - b);
  return back
    ? (places.findLast((place) => place < offset) ?? places.at(-1))
    : (places.find((place) => place > offset) ?? places[0]);
}

/** A character of several bytes can be several tokens: one mark, with all that they have. */
function mergeSameRange(marks: readonly TokenMark[], ranges: readonly (TextRange | undefined)[]) {
  const placed: { range: TextRange; mark: TokenMark }[] = [];
  marks.forEach((mark, token) => {
    const range = ranges[token];
    if (!range) return;
    const last = placed.at(-1);
    if (last?.range.start === range.start && last.range.end === range.end) last.mark = both(last.mark, mark);
    else placed.push({ range, mark });
  });
  return placed;
}

function both(a: TokenMark, b: TokenMark): TokenMark {
  return {
    level: Math.max(a.level, b.level),
    kind: a.kind === 'massive' ? a.kind : (b.kind ?? a.kind),
    sink: a.sink || b.sink,
  };
}

function joined(ranges: readonly TextRange[]): TextRange[] {
  const result: TextRange[] = [];
  for (const range of ranges) {
    const last = result.at(-1);
    if (last?.end === range.start) result[result.length - 1] = { start: last.start, end: range.end };
    else result.push(range);
  }
  return result;
}

/** Tokens before the first that has text; gone with the mark of that one. */
function prefixMark(
  { tokens }: Analysis,
  marks: readonly TokenMark[],
  ranges: readonly (TextRange | undefined)[],
  selected: number | undefined,
): Prefix | undefined {
  const count = tokens?.tokens.findIndex(({ start, end }) => end > start) ?? 0;
  const first = ranges[count];
  if (!tokens || count <= 0 || !first) return undefined;
  // What a chat template writes can be long: of that, what has a sign.
  const labels = tokens.tokens.slice(0, count).flatMap((token, i) => {
    const sign = signs(marks[i] ?? {});
    return token.role !== undefined && sign === '' ? [] : [`${tokenLabel(token)} ${sign}`.trim()];
  });
  if (labels.length === 0) return undefined;
  const before = marks.slice(0, count);
  const marked = before.findIndex((mark) => signs(mark) !== '');
  return {
    ...before.reduce(both),
    at: first.start,
    marked: marked < 0 ? undefined : marked,
    label: labels.join(' '),
    selected: selected !== undefined && selected < count,
  };
}

/** Perplexity of the tokens that `range` of the document touches, of all where it is empty; undefined: of none. */
export function perplexityIn(
  nats: Float32Array,
  ranges: readonly (TextRange | undefined)[],
  range: TextRange,
): number | undefined {
  const all = range.start === range.end;
  const scored = Array.from(nats).filter((value, token) => {
    const place = ranges[token];
    return Number.isFinite(value) && (all || (place && place.end > range.start && place.start < range.end));
  });
  return scored.length === 0 ? undefined : Math.exp(scored.reduce((sum, value) => sum + value, 0) / scored.length);
}
