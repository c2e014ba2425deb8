/** A table of a presentation as the element that draws tables takes it. */
import { formatCell, type TablePart } from '../src/analysis/presentation.js';
import type { TableData } from './table.js';

export function dataOf({ heading, columns, rows }: TablePart): TableData {
  const numeric = columns.map((_, column) => rows.some((row) => typeof row[column] === 'number'));
  const order = (row: number) =>
    columns.map((_, column) => {
      const value = rows[row]?.[column];
      return typeof value === 'number' ? value : numeric[column] ? Number.NEGATIVE_INFINITY : row;
    });
  return {
    caption: heading,
    captioned: true,
    columns: columns.map(({ name }) => name),
    words: columns.map(({ format }) => format === 'words'),
    rows: rows.length,
    cells: (row) => columns.map(({ format }, column) => formatCell(rows[row]?.[column] ?? null, format)),
    order: numeric.some(Boolean) ? order : undefined,
  };
}
