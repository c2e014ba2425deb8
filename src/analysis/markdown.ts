/** A presentation as Markdown, for an issue, a note or a chat: the sentence, the conditions, the tables. */
import { visible } from '../visible.js';
import { formatCell, type Part, type Presentation, settingsLine, tableOf } from './presentation.js';

/**
 * GitHub's Markdown of what is shown. Texts that somebody else wrote are texts there too: nothing in them is a link, a
 * picture, a mention, markup, or the end of a table's cell.
 */
export function markdownOf({ title, sentence, settings, warnings, parts }: Presentation): string {
  return `${[
    `### ${literal(title)}`,
    literal(sentence),
    ...(settings.length > 0 ? [literal(settingsLine(settings))] : []),
    ...warnings.map((warning) => `> ${literal(warning)}`),
    ...parts.flatMap(partAsMarkdown),
  ].join('\n\n')}\n`;
}

function partAsMarkdown(part: Part): string[] {
  const heading = `#### ${literal(part.heading)}`;
  if (part.kind === 'text') return [heading, ...part.paragraphs.map(literal)];
  const { columns, rows } = tableOf(part);
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const numeric = columns.map((_, i) => rows.some((row) => typeof row[i] === 'number'));
  const table = [
    line(columns.map(({ name }) => literal(name))),
    line(numeric.map((is) => (is ? '--:' : '---'))),
    ...rows.map((row) => line(columns.map(({ format }, i) => literal(formatCell(row[i] ?? null, format))))),
  ];
  return [heading, table.join('\n')];
}

/** Signs with a meaning anywhere; those of `:` and `#` depend on what follows. */
const signs = /[\\`*_[\]<~$&@|]|:(?=\S)|#(?=[\p{L}\p{N}])|(?<=\bGH)-/giu;

/** What begins a heading, a quotation, a list or a rule; a number with a sign or a point does not. */
const beginning = /^(?:[=#>]|[-+](?=[\s+-]|$)|\d+(?=[.)](?:\s|$)))/;

/**
 * A text in which no sign has a meaning: each that could have one is a character reference, which Markdown takes for the
 * character alone, inside of tables too. Others stay as they are, so that the source can be read as well.
 */
function literal(text: string): string {
  return visible(text)
    .replace(signs, (sign, at: number, all: string) => {
      const [before = '', after = ''] = [all[at - 1], all[at + 1]];
      const isLetter = /[\p{L}\p{N}]/u;
      if (sign === '_' && isLetter.test(before) && isLetter.test(after)) return sign;
      // GitHub looks for mentions in what was rendered: they end where a comment stands between.
      const apart = (sign === '@' || sign === '#') && isLetter.test(after) ? '<!-- -->' : '';
      return `${reference(sign)}${apart}`;
    })
    .replace(beginning, (start) => (start.length === 1 && !/\d/.test(start) ? reference(start) : `${start}<!-- -->`))
    .replace(/\bwww(?=\.)/gi, 'ww&#119;');
}

const reference = (sign: string) => `&#${sign.codePointAt(0)};`;
