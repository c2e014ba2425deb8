/** The anatomy as SVG: the boxes of the page with the same words and colours, for one file, or two with equal blocks in one row. */
import { formatRatio } from '../../src/analysis/format.js';
import type { Thresholds } from '../../src/analysis/thresholds.js';
import { greatest } from '../../src/statistics/numbers.js';
import type { DrawnPicture } from '../picture.js';
import { multipleScale } from '../scale.js';
import { escaped, rounded, svgRect, svgText, textWidth, wrapped } from '../svg.js';
import { type Theme, toneAt } from '../theme.js';
import type { DrawnBlock, DrawnPart, ModelDrawing } from './drawing.js';

export interface DrawnFile {
  readonly name: string;
  readonly drawing: ModelDrawing;
  /** By k of h_k; empty where no run of this file is shown. */
  readonly multiples: readonly number[];
}

/** In CSS pixels: room of the stream, of the state at the right, and between what stands side by side. */
const room = { stream: 30, state: 78, gap: 6, files: 24, columns: 40, stub: 10 };
/** Of boxes; two of a parallel block stand beside each other. */
const boxWidth = { single: 290, parallel: 460 };
/** A picture that is no higher than this stands in one column, else in so many that it has about a page's shape. */
const lowest = 1000;
const pageShape = 1.4;
const [titleLine, factLine] = [14, 13];

/** What stands at one height of the stream: what enters or leaves it, or a block. */
interface Row {
  /** k of the h_k at its right; undefined: none. */
  readonly layer: number | undefined;
  readonly words: readonly string[];
  readonly change: readonly string[];
  readonly boxes: readonly Box[];
  readonly parallel: boolean;
  readonly end?: 'first' | 'last' | undefined;
  readonly height: number;
}

interface Box {
  readonly part: DrawnPart;
  readonly title: readonly string[];
  /** At the right of the title, where it has room. */
  readonly type: string;
  readonly facts: readonly string[];
  readonly height: number;
}

/** @param differing blocks, 1-based, that are not the same in the two files */
export function blocksSvg(
  files: readonly DrawnFile[],
  { differing, thresholds }: { readonly differing: ReadonlySet<number>; readonly thresholds: Thresholds },
  theme: Theme,
): DrawnPicture {
  const isParallel = files.some(({ drawing }) => drawing.blocks.some(({ parallel }) => parallel));
  const box = isParallel ? boxWidth.parallel : boxWidth.single;
  const file = room.stream + box + room.gap + room.state;
  const column = files.length * file + (files.length - 1) * room.files;
  const rows = files.map(({ drawing }) => rowsOf(drawing, box));
  const heights = Array.from({ length: greatest(rows.map(({ length }) => length)) }, (_, at) =>
    greatest(rows.map((own) => own[at]?.height ?? 0)),
  );
  const columns = columnsOf(heights, column);
  // What each of two files is called stands over it in every column.
  const names = files.map(({ name }) => (files.length > 1 ? wrapped(name, file, 12) : []));
  const top = greatest(names.map(({ length }) => length * 16)) + (columns.length > 1 ? room.stub : 0);
  const parts: string[] = [];
  columns.forEach(({ from, to }, index) => {
    for (const [at, own] of rows.entries()) {
      const x = index * (column + room.columns) + at * (file + room.files);
      const [first, last] = [from, Math.min(to, own.length)];
      names[at]?.forEach((line, n) => {
        if (first < last) parts.push(svgText(x, 12 + 16 * n, line, { size: 12, fill: theme.foreground, bold: true }));
      });
      let y = top;
      for (let row = first; row < last; row++) {
        const [drawn, height] = [own[row], heights[row] ?? 0];
        if (drawn === undefined) continue;
        const style = { theme, thresholds, box, differs: drawn.layer !== undefined && differing.has(drawn.layer) };
        parts.push(rowSvg(drawn, { x, y, height }, { ...style, multiples: files[at]?.multiples ?? [] }));
        y += height;
      }
      if (first > 0 && first < last) parts.push(stub(x, top - room.stub, theme));
      if (last < own.length) parts.push(stub(x, y, theme));
    }
  });
  const tall = columns.map(({ from, to }) => heights.slice(from, to).reduce((sum, one) => sum + one, 0));
  return {
    svg: parts.join(''),
    width: columns.length * column + (columns.length - 1) * room.columns,
    height: top + greatest(tall) + (columns.length > 1 ? room.stub : 0),
    ...(files.some(({ multiples }) => multiples.length > 0) && { scale: multipleScale(thresholds) }),
    ...(differing.size > 0 && {
      key: [{ text: 'blocks that are not the same in both', color: theme.massive, dashed: true }],
    }),
  };
}

/** Rows, `to` left out, in columns of about one height. */
function columnsOf(heights: readonly number[], width: number): { readonly from: number; readonly to: number }[] {
  const total = heights.reduce((sum, one) => sum + one, 0);
  let count = 1;
  while (count < heights.length && total / count > Math.max(lowest, count * width * pageShape)) count++;
  const columns = [{ from: 0, to: 0 }];
  let y = 0;
  for (const [row, height] of heights.entries()) {
    const [last, at] = [columns.at(-1), Math.floor(((y + height / 2) / total) * count)];
    if (last && at < columns.length) last.to = row + 1;
    else columns.push({ from: row, to: row + 1 });
    y += height;
  }
  return columns;
}

function rowsOf({ blocks, start, end }: ModelDrawing, box: number): Row[] {
  const said = (text: string, layer: number | undefined, place: Row['end']): Row => {
    const words = wrapped(text, layer === undefined ? box + room.gap + room.state : box);
    const height = Math.max(layer === undefined ? 26 : 48, 12 + titleLine * words.length);
    return { layer, words, change: [], boxes: [], parallel: false, end: place, height };
  };
  return [
    said(start, 0, 'first'),
    ...blocks.map((block) => blockRow(block, box)),
    ...end.map((text, at) => said(text, undefined, at === end.length - 1 ? 'last' : undefined)),
  ];
}

function blockRow({ layer, parts, parallel, change }: DrawnBlock, width: number): Row {
  const each = parallel ? (width - (parts.length - 1) * 4) / parts.length : width;
  const boxes = parts.map((part) => boxOf(part, each));
  const heights = boxes.map(({ height }) => height);
  const boxed = parallel ? greatest(heights) : heights.reduce((sum, one) => sum + one + 4, -4);
  const lines = change === undefined ? [] : wrapped(change, width, 10);
  const height = changeHeight(lines) + Math.max(boxed, 36) + 8;
  return { layer, words: [], change: lines, boxes, parallel, height };
}

const changeHeight = (lines: readonly string[]) => (lines.length === 0 ? 0 : factLine * lines.length + 4);

function boxOf(part: DrawnPart, width: number): Box {
  const inner = width - 20;
  const type = part.types.join(' + ');
  const beside = textWidth(part.title) + 10 + textWidth(type, 10) <= inner;
  const title = wrapped(part.title, inner);
  const said = [beside ? '' : type, part.facts.join(' · '), part.fused === undefined ? '' : `fused: ${part.fused}`];
  const facts = said.flatMap((text) => wrapped(text, inner, 10));
  const height = Math.max(32, 9 + titleLine * title.length + factLine * facts.length);
  return { part, title, type: beside ? type : '', facts, height };
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly height: number;
}

interface RowStyle {
  readonly theme: Theme;
  readonly thresholds: Thresholds;
  readonly box: number;
  readonly multiples: readonly number[];
  readonly differs: boolean;
}

function rowSvg(row: Row, { x, y, height }: Place, style: RowStyle): string {
  const { theme, box, differs } = style;
  const left = x + room.stream;
  const [from, to] = [row.end === 'first' ? y + height / 2 : y, row.end === 'last' ? y + height / 2 : y + height];
  const parts = [svgRect(x + 11, from, 3, to - from, theme.foreground)];
  const middle = y + (height - titleLine * row.words.length) / 2;
  row.words.forEach((line, n) => {
    parts.push(svgText(left, middle + titleLine * n + 11, line, { fill: theme.foreground }));
  });
  row.change.forEach((line, n) => {
    parts.push(svgText(left + 10, y + factLine * n + 11, line, { size: 10, fill: theme.foreground }));
  });
  const shift = changeHeight(row.change);
  if (shift > 0) for (const at of [0, 3]) parts.push(svgRect(left + at, y + 2, 1, shift - 4, theme.massive));
  let at = y + shift + 4;
  row.boxes.forEach((drawn, n) => {
    const each = row.parallel ? (box - (row.boxes.length - 1) * 4) / row.boxes.length : box;
    const tall = row.parallel ? greatest(row.boxes.map((one) => one.height)) : drawn.height;
    const place = { x: row.parallel ? left + n * (each + 4) : left, y: at, height: tall };
    // One sum for all that are added to one stream at once.
    if (n === 0 || !row.parallel) parts.push(armSvg(x, at + tall / 2, theme));
    parts.push(boxSvg(drawn, { ...place, width: each }, theme, differs));
    if (!row.parallel) at += drawn.height + 4;
  });
  if (row.layer !== undefined) {
    const own = { x: left + box + room.gap, y: y + shift + 4, height: height - shift - 8 };
    parts.push(stateSvg(row.layer, own, style));
  }
  return parts.join('');
}

/** From the stream into a branch and back: an arm with the sum at its end. */
function armSvg(x: number, y: number, { foreground, background }: Theme): string {
  const [line, ground] = [escaped(foreground), escaped(background)];
  const [cx, cy] = [rounded(x + 12.5), rounded(y)];
  return `<path d="M${cx} ${cy}H${rounded(x + room.stream)}" stroke="${line}"/><circle cx="${cx}" cy="${cy}" r="6" fill="${ground}" stroke="${line}"/><path d="M${cx - 3.5} ${cy}h7M${cx} ${cy - 3.5}v7" stroke="${line}"/>`;
}

function boxSvg(
  { part, title, type, facts }: Box,
  { x, y, height, width }: Place & { readonly width: number },
  theme: Theme,
  differs: boolean,
): string {
  const color = part.kind === 'unknown' ? theme.muted : theme.parts[part.kind];
  const frame = escaped(differs ? theme.massive : theme.muted);
  const dashes = differs || part.kind === 'unknown' ? ' stroke-dasharray="3 2"' : '';
  const right = x + width;
  return [
    `<rect x="${rounded(x + 0.5)}" y="${rounded(y + 0.5)}" width="${rounded(width - 1)}" height="${rounded(height - 1)}" rx="3" fill="none" stroke="${frame}" stroke-width="${differs ? 1.4 : 0.7}"${dashes}/>`,
    svgRect(x, y, 4, height, color),
    ...title.map((line, n) => svgText(x + 12, y + 15 + titleLine * n, line, { fill: theme.foreground, bold: true })),
    ...(type === '' ? [] : [svgText(right - 8, y + 15, type, { size: 10, fill: theme.muted, anchor: 'end' })]),
    ...facts.map((line, n) =>
      svgText(x + 12, y + 14 + titleLine * title.length + factLine * n, line, { size: 10, fill: theme.muted }),
    ),
  ].join('');
}

function stateSvg(layer: number, { x, y, height }: Place, { theme, thresholds, multiples }: RowStyle): string {
  const multiple = multiples[layer];
  const tone =
    multiple === undefined ? undefined : toneAt(theme.ramps.magnitude, multipleScale(thresholds).at(multiple));
  const [fill, right, bottom] = [tone?.text ?? theme.foreground, x + room.state - 6, y + height - 7];
  const ground = tone === undefined ? 'none' : escaped(tone.color);
  return [
    `<rect x="${rounded(x + 0.5)}" y="${rounded(y + 0.5)}" width="${room.state - 1}" height="${rounded(height - 1)}" rx="3" fill="${ground}" stroke="${escaped(theme.muted)}" stroke-width="0.7"/>`,
    svgText(right, bottom - (multiple === undefined ? 0 : factLine), `h_${layer}`, { fill, anchor: 'end' }),
    ...(multiple === undefined
      ? []
      : [svgText(right, bottom, formatRatio(multiple), { size: 10, fill, anchor: 'end' })]),
  ].join('');
}

/** The stream goes on in the next column, or comes from the one before. */
const stub = (x: number, y: number, { foreground }: Theme) =>
  `<path d="M${rounded(x + 12.5)} ${rounded(y)}v${room.stub}" stroke="${escaped(foreground)}" stroke-width="3" stroke-dasharray="2 2"/>`;
