import { type CellValue, type Format, formatCell, type Part, tableOf } from '../analysis/presentation.js';
import { greatest } from '../statistics/numbers.js';
import { visible } from '../visible.js';

/** A heading and the lines below it, after an empty one; nothing where there is nothing. */
export function section(heading: string, body: readonly string[]): string[] {
  return body.length === 0 ? [] : ['', heading, ...body];
}

/**
 * Right-aligned columns and a last one that is left as it is, for text of any width: a line for each row. Empty without
 * rows.
 *
 * @param rows each with one cell per heading, the last one included
 */
export function columns(
  headings: readonly string[],
  lastHeading: string,
  rows: readonly (readonly string[])[],
): string[] {
  if (rows.length === 0) return [];
  // As they will be printed, so that columns stay under each other.
  const lines = [[...headings, lastHeading], ...rows.map((row) => row.map(visible))];
  const widths = headings.map((_, column) => widthOf(lines, column));
  const padded = lines.map((line) => line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '));
  return padded.map((line) => `  ${line.trimEnd()}`);
}

const widthOf = (lines: readonly (readonly string[])[], column: number) =>
  greatest(lines.map((line) => line[column]?.length ?? 0));

/**
 * A part of a presentation as a table under its heading, numbers right-aligned; or its paragraphs.
 *
 * @param width characters of a line: columns that do not fit are left out, and the heading says so; undefined: all fit
 */
export function partInWords(part: Part, width = Number.POSITIVE_INFINITY): string[] {
  if (part.kind === 'text')
    return section(
      part.heading,
      part.paragraphs.map((text) => `  ${text}`),
    );
  const table = tableOf(part);
  const names = table.columns.map(({ name }) => visible(name));
  const rows = table.rows.map((row) => row.map((value, i) => cellLines(value, table.columns[i]?.format).map(visible)));
  const lines = [names, ...rows.flatMap(underEachOther)];
  const widths = names.map((_, column) => widthOf(lines, column));
  const texts = names.map((_, column) =>
    table.rows.some((row) => typeof row[column] === 'string' || Array.isArray(row[column])),
  );
  const shown = columnsThatFit(widths, width);
  const body = lines.map((line) => {
    const cells = line.slice(0, shown).map((cell, column) => {
      const room = widths[column] ?? 0;
      return texts[column] ? cell.padEnd(room) : cell.padStart(room);
    });
    return `  ${cells.join('  ')}`.trimEnd();
  });
  const left = shown < widths.length ? ` (${shown} of ${widths.length} columns)` : '';
  return table.rows.length === 0 ? [] : section(`${part.heading}${left}`, body);
}

/** Several numbers of one cell stand under each other: beside each other no line would have room for what they are of. */
const cellLines = (value: CellValue, format: Format | undefined): readonly string[] =>
  Array.isArray(value) && value.length > 0
    ? value.map((one) => formatCell([one], format))
    : [formatCell(value, format)];

/** The lines of a row whose cells have several: as many as the longest one has. */
const underEachOther = (cells: readonly (readonly string[])[]): string[][] =>
  Array.from({ length: greatest(cells.map(({ length }) => length)) }, (_, i) => cells.map((cell) => cell[i] ?? ''));

/** How many columns a line has room for, each with two blanks before it; two at least. */
function columnsThatFit(widths: readonly number[], width: number): number {
  let room = width;
  const full = widths.findIndex((own) => {
    room -= own + 2;
    return room < 0;
  });
  return full < 0 ? widths.length : Math.max(2, full);
}
