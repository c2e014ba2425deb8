/** What the element that draws tables takes, and a table of a presentation as that. */
import { type CellValue, type Column, csvOf, formatCell, type TablePart } from '../src/analysis/presentation.js';
import type { Selection } from '../src/analysis/selection.js';

export interface TableData {
  /** What the table shows; the first column names the row. */
  readonly caption: string;
  /** True where the caption stands above the table already. */
  readonly captioned?: boolean;
  readonly columns: readonly Column[];
  /** By column, whether it has words, which begin at the left. */
  readonly words?: readonly boolean[];
  readonly rows: number;
  /** What a selectable row's button is called, which what it shows begins; that alone where rows do not share it. */
  readonly named?: (row: number) => string;
  /** What stands in a row, by column; numbers are written as the column's format has it. */
  cells(row: number): readonly CellValue[];
  /** What is drawn beside the text of a cell, or in its place: by column. */
  readonly drawn?: (row: number) => readonly (DrawnCell | undefined)[];
  /** What a row is sorted by, by column; undefined: not sortable. */
  readonly order?: (row: number) => readonly number[];
  /** Row shown as selected; rows can be clicked when {@link selectable}. */
  readonly selected?: number;
  readonly selectable?: boolean;
}

/** A bar behind a number, as long as `share` of its room; or shades side by side, each of one thing. */
export type DrawnCell =
  | { readonly bar: number }
  | { readonly shades: readonly { readonly place: number | undefined; readonly text: string }[] };

/** All rows as a CSV file. */
export function csvBytes({ columns, rows, cells }: TableData): Uint8Array {
  const all = Array.from({ length: rows }, (_, row) => [...cells(row)]);
  return new TextEncoder().encode(csvOf({ columns, rows: all }));
}

export function dataOf({ heading, columns, rows, layers }: TablePart, selected?: Selection): TableData {
  const chosen = selected?.layer === undefined ? -1 : (layers ?? []).indexOf(selected.layer);
  const numeric = columns.map((_, column) => rows.some((row) => typeof row[column] === 'number'));
  const order = (row: number) =>
    columns.map((_, column) => {
      const value = rows[row]?.[column];
      return typeof value === 'number' ? value : numeric[column] ? Number.NEGATIVE_INFINITY : row;
    });
  return {
    caption: heading,
    captioned: true,
    columns,
    words: columns.map(({ format }, column) => format === 'words' || isWords(rows.map((row) => row[column] ?? null))),
    rows: rows.length,
    cells: (row) => rows[row] ?? [],
    order: numeric.some(Boolean) ? order : undefined,
    ...(columns.some(({ range }) => range) && {
      drawn: (row: number) => columns.map((column, at) => drawnOf(rows[row]?.[at] ?? null, column)),
    }),
    ...(layers && { selectable: true }),
    ...(chosen >= 0 && { selected: chosen }),
  };
}

/** Whether a column is read and not compared by size: lists, and texts without a number among them that do not all begin as one. */
function isWords(cells: readonly CellValue[]): boolean {
  if (cells.some((cell) => typeof cell === 'number')) return false;
  return cells.some((cell) => (typeof cell === 'string' ? !/^([+−<≥]?\s?\d|–?$)/.test(cell) : cell !== null));
}

type TableColumn = TablePart['columns'][number];

function drawnOf(value: CellValue, { range, format }: TableColumn): DrawnCell | undefined {
  if (range === undefined || value === null || typeof value === 'string') return undefined;
  const [from, to] = range;
  const share = (one: number) => (to === from ? 0 : Math.min(1, Math.max(0, (one - from) / (to - from))));
  if (typeof value === 'number') return { bar: share(value) };
  return {
    shades: value.map((one) => ({
      place: one.value === null ? undefined : share(one.value),
      text: formatCell([one], format),
    })),
  };
}
