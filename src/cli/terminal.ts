/**
 * The one file that writes to the terminal. What it is given are lines, and whatever they hold, a terminal shows them
 * as text: nothing that a file says moves the cursor, sets a colour, or begins a line of its own.
 */
import type { Span } from '../analysis/summary.js';
import { fileReason } from '../errors.js';
import { jsonOf, visible } from '../visible.js';

/** Spans with a mark are coloured where the terminal takes colours. */
export type Line = string | readonly Span[];

/** Prints a part of the result. */
export function print(lines: readonly Line[]): void {
  write(process.stdout, lines);
}

/** Prints what is said about the run: progress, warnings, failures. */
export function remark(lines: readonly Line[]): void {
  write(process.stderr, lines);
}

/** Prints the result as JSON on a line, or indented by `space`: exactly what it is, with controls escaped. */
export function printJson(value: object, space?: number): void {
  process.stdout.write(`${jsonOf(value, space)}\n`);
}

/** Characters of a line of the result; undefined where it goes to a file or another program. */
export function lineWidth(): number | undefined {
  return process.stdout.columns;
}

/**
 * Has the ends of stdout and stderr end the program in order: a reader that has seen enough is no failure, as in
 * `sinkscope … | head`; a result that could not be written is one.
 */
export function watchEnds(): void {
  let said = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    process.exitCode = 1;
    if (!said) remark([`sinkscope: The result could not be printed: ${fileReason(error)}.`]);
    said = true;
  });
  // There is no place left to say it; the exit code is what it is.
  process.stderr.on('error', () => undefined);
}

const codes = { massive: 33, large: 93, sink: 36 } as const;

function write(stream: NodeJS.WriteStream, lines: readonly Line[]): void {
  const coloured = stream.isTTY && !process.env.NO_COLOR;
  stream.write(lines.map((line) => `${lineOf(line, coloured)}\n`).join(''));
}

/** A line as it is written, for a terminal that takes colours or for one that does not. */
export function lineOf(line: Line, coloured: boolean): string {
  if (typeof line === 'string') return visible(line);
  return line
    .map(({ text, mark }) => (coloured && mark ? `\u001b[${codes[mark]}m${visible(text)}\u001b[0m` : visible(text)))
    .join('');
}
