/** Tables of the documentation, and what stands in their cells. */

/** Cells are words; a bar in them would part them. */
export function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export const code = (text) => `\`${text}\``;
export const codes = (words) => words.map(code).join(', ');

/** As the command line has them. */
export function optionsOf({ flag, also, prompt, typed }) {
  return [flag, ...(also ? [also.flag] : []), ...(prompt || typed ? ['--text <text>'] : [])];
}
