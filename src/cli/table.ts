/** A heading and what is below it; nothing where there is nothing. */
export function section(heading: string, body: string): string {
  return body === '' ? '' : `\n${heading}\n${body}`;
}

/**
 * Right-aligned columns and a last one that is left as it is, for text of any width. Empty without rows.
 *
 * @param rows each with one cell per heading, the last one included
 */
export function columns(
  headings: readonly string[],
  lastHeading: string,
  rows: readonly (readonly string[])[],
): string {
  if (rows.length === 0) return '';
  const lines = [[...headings, lastHeading], ...rows];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const padded = lines.map((line) => line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '));
  return padded.map((line) => `  ${line.trimEnd()}\n`).join('');
}
