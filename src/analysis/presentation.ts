/**
 * What an experiment shows, as plain data: drawn by the webview, exported as JSON and CSV, kept as it is. Every part,
 * picture or not, is a table as well ({@link tableOf}).
 */
import { formatNumber, formatRatio, formatShare, formatValue } from './format.js';

export interface Presentation {
  readonly title: string;
  /** What is shown, and what the reader should conclude. */
  readonly sentence: string;
  /** Everything that changes numbers: model, T, BOS, thresholds, seed … */
  readonly settings: readonly Setting[];
  /** What the figures have to be read with. */
  readonly warnings: readonly string[];
  readonly parts: readonly Part[];
  /** What programs take of it, where that is more than the parts: exported with them, shown nowhere. */
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface Setting {
  readonly name: string;
  readonly value: string;
}

/** All settings in a line. */
export function settingsLine(settings: readonly Setting[]): string {
  return settings.map(({ name, value }) => `${name} ${value}`).join(' · ');
}

export type Part = TablePart | BarsPart | LinesPart | HeatmapPart | TextPart;

/** How the numbers of a column are written; texts are written as they are. */
export type Format = 'number' | 'value' | 'ratio' | 'share' | 'fixed' | 'signed' | 'plain';

export interface Column {
  readonly name: string;
  readonly format?: Format;
}

/** Null: nothing to be said here. */
export type CellValue = string | number | null;

export interface TablePart {
  readonly kind: 'table';
  readonly heading: string;
  /** The first one names the row. */
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly CellValue[])[];
}

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** 95 % interval, where there is one. */
  readonly interval?: readonly [number, number];
}

export interface BarsPart {
  readonly kind: 'bars';
  readonly heading: string;
  /** Name and form of the values. */
  readonly value: Column;
  readonly log: boolean;
  /** Bars begin here, and a rule marks it: what the others are compared with. */
  readonly reference?: number;
  readonly bars: readonly Bar[];
}

export interface LinesPart {
  readonly kind: 'lines';
  readonly heading: string;
  readonly x: { readonly name: string; readonly values: readonly number[] };
  readonly y: Column & { readonly log: boolean };
  /** A value for each x; null where there is none. */
  readonly lines: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
}

export interface HeatmapPart {
  readonly kind: 'heatmap';
  readonly heading: string;
  readonly rows: Axis;
  readonly columns: Axis;
  readonly value: Column;
  /** `diverging`: colours part at zero, and both ends are equally far from it. */
  readonly scale: 'linear' | 'log' | 'diverging';
  /** Values at the ends of the colours, where several heatmaps share them; undefined: as the values are. */
  readonly range?: readonly [number, number];
  /** Row-major; null where there is nothing to show. */
  readonly values: readonly (number | null)[];
  /** What cells say where that is more than a number, row-major. */
  readonly texts?: readonly string[];
}

/** What rows or columns are, in the singular, and the name of each. */
export interface Axis {
  readonly name: string;
  readonly labels: readonly string[];
}

export interface TextPart {
  readonly kind: 'text';
  readonly heading: string;
  readonly paragraphs: readonly string[];
}

/** A cell as it is shown. */
export function formatCell(value: CellValue, format: Format = 'number'): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  switch (format) {
    case 'number':
      return formatNumber(value);
    case 'value':
      return formatValue(value);
    case 'ratio':
      return formatRatio(value);
    case 'share':
      return formatShare(value);
    case 'fixed':
      return value.toFixed(2).replace('-', '−');
    case 'signed':
      return `${value > 0 ? '+' : ''}${value.toFixed(2).replace('-', '−')}`;
    case 'plain':
      return `${value}`;
  }
}

/** Any part as the table behind it. */
export function tableOf(part: Part): TablePart {
  const table = (columns: readonly Column[], rows: TablePart['rows']): TablePart => {
    return { kind: 'table', heading: part.heading, columns, rows };
  };
  switch (part.kind) {
    case 'table':
      return part;
    case 'bars': {
      const { value, bars } = part;
      const intervals = bars.some(({ interval }) => interval);
      const bounds = intervals ? ['95 % from', 'to'].map((name) => ({ name, format: value.format })) : [];
      return table(
        [{ name: 'name' }, value, ...bounds],
        bars.map(({ name, value, interval }) => [name, value, ...(intervals ? (interval ?? [null, null]) : [])]),
      );
    }
    case 'lines':
      return table(
        [{ name: part.x.name, format: 'plain' }, ...part.lines.map(({ name }) => ({ name, format: part.y.format }))],
        part.x.values.map((x, i) => [x, ...part.lines.map(({ values }) => values[i] ?? null)]),
      );
    case 'heatmap': {
      const { rows, columns, value, values, texts } = part;
      const width = columns.labels.length;
      const cell = (at: number) => texts?.[at] ?? values[at] ?? null;
      return table(
        [
          { name: `${rows.name} \\ ${columns.name}` },
          ...columns.labels.map((name) => ({ name, format: value.format })),
        ],
        rows.labels.map((name, row) => [name, ...columns.labels.map((_, column) => cell(row * width + column))]),
      );
    }
    case 'text':
      return table(
        [{ name: 'text' }],
        part.paragraphs.map((paragraph) => [paragraph]),
      );
  }
}

/** A part's table as comma-separated values (RFC 4180), numbers in full. */
export function csvOf(part: Part): string {
  const { columns, rows } = tableOf(part);
  const field = (value: CellValue) => {
    const text = `${value ?? ''}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map(({ name }) => name), ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}
