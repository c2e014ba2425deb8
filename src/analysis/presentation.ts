/**
 * What an experiment shows, as plain data: drawn by the webview, exported as JSON and CSV, kept as it is. Every part,
 * picture or not, is a table as well ({@link tableOf}).
 */
import * as v from 'valibot';
import { flag, real, type Sent, text, whole } from '../schemas.js';
import { visible } from '../visible.js';
import {
  alignedShare,
  formatAligned,
  formatFixed,
  formatNumber,
  formatRatio,
  formatShare,
  formatSigned,
  formatValue,
} from './format.js';

/** What people read. Names from files are among it, so that it is made visible wherever a presentation is read. */
const words = v.pipe(text, v.transform(visible));

const column = v.object({
  name: words,
  format: v.optional(v.picklist(['number', 'value', 'ratio', 'share', 'fixed', 'signed', 'plain', 'words'])),
});
export type Column = Sent<typeof column>;
/** How the numbers of a column are written; texts are written as they are. */
export type Format = NonNullable<Column['format']>;

/** A number, or null where there is nothing to be said: NaN comes as null, as JSON has it. */
const numberCell = v.pipe(
  real,
  v.transform((value) => (Number.isNaN(value) ? null : value)),
);
/** Several numbers of one kind, each with what it is of: drawn as shades side by side. */
const strip = v.array(v.object({ name: words, value: numberCell }));
export type Strip = Sent<typeof strip>;

const cell = v.union([words, numberCell, strip]);
/** Null: nothing to be said here. */
export type CellValue = Sent<typeof cell>;

/** As a cell has it: nothing to be said where it is not finite. */
export const finiteCell = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null;

const tablePart = v.object({
  kind: v.literal('table'),
  heading: words,
  /** The first one names the row. */
  columns: v.array(
    v.object({
      ...column.entries,
      /**
       * Beside its numbers a bar is drawn: from nothing at the first of these values to all of its room at the second.
       * Of strips, what the lightest and the strongest shade stand for.
       */
      range: v.optional(v.tuple([real, real])),
    }),
  ),
  rows: v.array(v.array(cell)),
  /** By row, k of the `h_k` that it is about: where a click on it leads. */
  layers: v.optional(v.array(whole)),
});
export type TablePart = Sent<typeof tablePart>;

const bar = v.object({
  name: words,
  value: real,
  /** 95 % interval, where there is one. */
  interval: v.optional(v.tuple([real, real])),
});
export type Bar = Sent<typeof bar>;

const barsPart = v.object({
  kind: v.literal('bars'),
  heading: words,
  /** Name and form of the values. */
  value: column,
  log: flag,
  /** Bars begin here, and a rule marks it: what the others are compared with. */
  reference: v.optional(real),
  bars: v.array(bar),
});
export type BarsPart = Sent<typeof barsPart>;

const linesPart = v.object({
  kind: v.literal('lines'),
  heading: words,
  x: v.object({ name: words, values: v.array(real) }),
  y: v.object({ ...column.entries, log: flag }),
  lines: v.array(
    v.object({
      name: words,
      /** A value for each x; null where there is none. */
      values: v.array(numberCell),
      /** 95 % intervals, a bound for each x, where there are some. */
      interval: v.optional(v.object({ from: v.array(numberCell), to: v.array(numberCell) })),
    }),
  ),
});
export type LinesPart = Sent<typeof linesPart>;

/** What rows or columns are, in the singular, and the name of each. */
const axis = v.object({
  name: words,
  labels: v.array(words),
  /** Where a click leads: which layer (k of `h_k`), token, head or dim of the run each of them is. */
  leads: v.optional(v.object({ to: v.picklist(['layer', 'token', 'head', 'dim']), values: v.array(whole) })),
});
export type Axis = Sent<typeof axis>;

const heatmapPart = v.object({
  kind: v.literal('heatmap'),
  heading: words,
  rows: axis,
  columns: axis,
  value: column,
  /** `diverging`: colours part at zero, and both ends are equally far from it. */
  scale: v.picklist(['linear', 'log', 'diverging']),
  /** Values at the ends of the colours, where several heatmaps share them; undefined: as the values are. */
  range: v.optional(v.tuple([real, real])),
  /** Row-major; null where there is nothing to show. */
  values: v.array(numberCell),
  /** What cells say where that is more than a number, row-major. */
  texts: v.optional(v.array(words)),
  /** What is said of a cell beside its value, row-major. */
  notes: v.optional(v.array(words)),
});
export type HeatmapPart = Sent<typeof heatmapPart>;

const textPart = v.object({ kind: v.literal('text'), heading: words, paragraphs: v.array(words) });
export type TextPart = Sent<typeof textPart>;

const part = v.variant('kind', [tablePart, barsPart, linesPart, heatmapPart, textPart]);
export type Part = Sent<typeof part>;

const setting = v.object({ name: words, value: words });
export type Setting = Sent<typeof setting>;

export const presentation = v.object({
  title: words,
  /** What is shown, and what the reader should conclude. */
  sentence: words,
  /** Everything that changes numbers: model, T, BOS, thresholds, seed … */
  settings: v.array(setting),
  /** What the figures have to be read with. */
  warnings: v.array(words),
  parts: v.array(part),
});
export type Presentation = Sent<typeof presentation>;

/** A presentation as it was made, with its words visible. */
export function presented(made: Presentation): Presentation {
  return v.parse(presentation, made);
}

/** All settings in a line. */
export function settingsLine(settings: readonly Setting[]): string {
  return settings.map(({ name, value }) => `${name} ${value}`.trim()).join(' · ');
}

/**
 * A cell as it is shown.
 *
 * @param number how plain numbers and activations are written: `formatAligned` where they stand below one another
 */
export function formatCell(value: CellValue, format: Format = 'number', number = formatNumber): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'object')
    return value.map((one) => `${one.name} ${formatCell(one.value, format, number)}`).join(', ');
  switch (format) {
    case 'number':
      return number(value);
    case 'value':
      return formatValue(value, number);
    case 'ratio':
      return `${formatAligned(value)} ×`;
    case 'share':
      return alignedShare(value);
    case 'fixed':
      return formatFixed(value);
    case 'signed':
      return formatSigned(value);
    case 'plain':
    case 'words':
      return `${value}`;
  }
}

/** A tick of an axis or a scale: a round number, whose noughts say nothing. */
export function formatTick(value: number, format: Format = 'number'): string {
  if (format === 'ratio') return formatRatio(value);
  if (format === 'share') return formatShare(value);
  return formatCell(value, format);
}

/** Columns of an interval, behind that of its value. */
const boundNames = ['95 % from', 'to'] as const;

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
      const bounds = intervals ? boundNames.map((name) => ({ name, format: value.format })) : [];
      return table(
        [{ name: 'name' }, value, ...bounds],
        bars.map(({ name, value, interval }) => [name, value, ...(intervals ? (interval ?? [null, null]) : [])]),
      );
    }
    case 'lines': {
      const { format } = part.y;
      const columns = part.lines.flatMap(({ name, values, interval }) => [
        { name, values },
        ...(interval
          ? boundNames.map((bound, i) => ({ name: bound, values: i === 0 ? interval.from : interval.to }))
          : []),
      ]);
      return table(
        [{ name: part.x.name, format: 'plain' }, ...columns.map(({ name }) => ({ name, format }))],
        part.x.values.map((x, i) => [x, ...columns.map(({ values }) => values[i] ?? null)]),
      );
    }
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

/** What a spreadsheet takes for a formula, full-width signs included, unless it is but a number. */
const formula = /^(?![+-]?\d[\d.,]*(e[+-]?\d+)?$)[=+\-@＝＋－＠]/i;

/**
 * A table as comma-separated values (RFC 4180), numbers in full. A text that a spreadsheet would compute gets an
 * apostrophe before it, which spreadsheets take as the mark of a text.
 */
export function csvOf({ columns, rows }: Pick<TablePart, 'rows'> & { readonly columns: readonly Column[] }): string {
  const field = (value: CellValue) => {
    if (typeof value === 'number' || value === null) return `${value ?? ''}`;
    const shown = visible(
      typeof value === 'string' ? value : value.map((one) => `${one.name} ${one.value ?? ''}`).join(', '),
    );
    const text = formula.test(shown) ? `'${shown}` : shown;
    // Where numbers have a decimal comma, fields are parted by semicolons.
    return /[",;]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map(({ name }) => name), ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}
