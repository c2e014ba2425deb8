/** How the result of an experiment is printed. */
import { type Presentation, settingsLine } from '../analysis/presentation.js';

/**
 * Prints a result on stdout: as JSON, with the sentence as `conclusion` and the warnings in it and on stderr; or in
 * words, as the panel has them: the sentence, tables, all that the figures depend on, and the warnings.
 */
export function print(
  json: boolean | undefined,
  { sentence, settings, warnings }: Presentation,
  result: object,
  tables: readonly string[],
): void {
  if (!json) {
    const notes = warnings.map((warning) => `${warning}\n`);
    process.stdout.write([`${sentence}\n`, ...tables, `\n${settingsLine(settings)}\n`, ...notes].join(''));
    return;
  }
  for (const warning of warnings) process.stderr.write(`${warning}\n`);
  process.stdout.write(`${JSON.stringify({ ...result, warnings, conclusion: sentence })}\n`);
}
