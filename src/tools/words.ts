/** A presentation as Markdown that fits a context: bounded, with what was left out counted and how to ask for it. */
import { counted } from '../analysis/format.js';
import { formatCell, type Part, type Presentation, settingsLine, tableOf } from '../analysis/presentation.js';
import { visible } from '../visible.js';

/** Of a table. */
const most = { rows: 12, columns: 10, parts: 12, warnings: 8 };
/** Of a table of which more is asked for. */
const more = { ...most, rows: 60, columns: 16 };
/** Characters of a cell, of a heading, of a paragraph, and of an answer: parts beyond that are only named. */
const longest = { cell: 80, heading: 120, paragraph: 1_200, answer: 12_000 };

/** @param id under which the presentation is kept */
export function inWords(presentation: Presentation, id: string): string {
  const { title, sentence, settings, warnings, parts } = presentation;
  const head = [
    `## ${escaped(cut(title, longest.heading))} (result ${id})`,
    escaped(cut(sentence, longest.paragraph)),
    ...(settings.length > 0 ? [`Settings: ${escaped(cut(settingsLine(settings), longest.paragraph))}`] : []),
    ...warnings.slice(0, most.warnings).map((warning) => `Warning: ${escaped(cut(warning, longest.paragraph))}`),
    ...(warnings.length > most.warnings ? [`And ${counted(warnings.length - most.warnings, 'more warning')}.`] : []),
  ];
  let room = longest.answer;
  const shown = parts.slice(0, most.parts).map((part, i) => {
    const whole =
      room > 0 ? partInMarkdown(part, i, 0, most) : `${headingOf(part, i)}\n\nCall sinkscope_more for its rows.`;
    room -= whole.length;
    return whole;
  });
  const last = parts.length - 1;
  const beyond = last > most.parts ? `Parts ${most.parts} to ${last}` : `Part ${most.parts}`;
  const left = last >= most.parts ? [`${beyond}: call sinkscope_more.`] : [];
  return [...head, ...shown, ...left].join('\n\n');
}

/** What went wrong, as bounded as an answer: what was given stands in it. */
export const failureInWords = (message: string) => visible(cut(message, longest.paragraph));

/** Rows of one part, from `row` on. */
export function rowsInWords({ parts }: Presentation, at: { readonly part: number; readonly row: number }): string {
  const part = parts[at.part];
  return part ? partInMarkdown(part, at.part, at.row, more) : '';
}

function partInMarkdown(part: Part, index: number, from: number, bounds: typeof most): string {
  const heading = headingOf(part, index);
  if (part.kind === 'text') {
    const shown = part.paragraphs.slice(from, from + bounds.rows).map((text) => escaped(cut(text, longest.paragraph)));
    if (shown.length === 0) return `${heading}\n\n${nothing(part.paragraphs.length, 'paragraph')}`;
    return [heading, ...shown, ...rest(from + shown.length, part.paragraphs.length, 'paragraph')].join('\n\n');
  }
  const { columns, rows } = tableOf(part);
  const width = Math.min(columns.length, bounds.columns);
  const shown = rows.slice(from, from + bounds.rows);
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => escaped(cut(cell, longest.cell))).join(' | ')} |`;
  const table = [
    line(columns.slice(0, width).map(({ name }) => name)),
    `|${' --- |'.repeat(width)}`,
    ...shown.map((row) => line(row.slice(0, width).map((value, i) => formatCell(value, columns[i]?.format)))),
  ];
  const left = [
    ...rest(from + shown.length, rows.length, 'row'),
    ...(columns.length > width ? [`Columns 0 to ${width - 1} of ${columns.length} are shown.`] : []),
  ];
  return [heading, shown.length > 0 ? table.join('\n') : nothing(rows.length, 'row'), ...left].join('\n\n');
}

const headingOf = ({ heading }: Part, index: number) => `### Part ${index}: ${escaped(cut(heading, longest.heading))}`;

/** What is said where none is left from the one that was asked for. */
const nothing = (all: number, what: string) =>
  all === 0 ? `No ${what}s.` : `It has ${counted(all, what)}, counted from 0: none is left.`;

const rest = (shown: number, all: number, what: string) =>
  shown < all ? [`${counted(all - shown, `more ${what}`)}: call sinkscope_more with from ${shown}.`] : [];

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
}

/**
 * Text of which no sign is Markdown, for it may be somebody else's: no link, no picture, no column of a table. Names stay
 * as they are where that is safe, so that they can be copied: an underscore between letters means nothing.
 */
function escaped(text: string): string {
  return visible(text)
    .replace(/[\\`*[\]<|~]|(?<![\p{L}\p{N}_])_+|_+(?![\p{L}\p{N}_])|^\s*[#>]|&(?=#|\w+;)/gu, (signs) =>
      signs.replace(/\S/g, '\\$&'),
    )
    .replace(/(?<=\w):(?=\/\/)/g, '\\:');
}
