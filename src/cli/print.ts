/** How the result of an experiment is printed. */
import { settingsLine } from '../analysis/presentation.js';
import type { Outcome } from '../experiments/experiment.js';
import { partInWords } from './table.js';

/**
 * Prints a result on stdout: as JSON, with its warnings on stderr as well; or in words, as the panel has them: the
 * sentence, tables, all that the figures depend on, and the warnings.
 *
 * @param tables in place of the presentation's own
 */
export function print(asJson: boolean | undefined, { presentation, json }: Outcome, tables?: readonly string[]): void {
  const { sentence, settings, warnings, parts } = presentation;
  const notes = warnings.map((warning) => `${warning}\n`);
  if (asJson) {
    process.stderr.write(notes.join(''));
    process.stdout.write(`${JSON.stringify(json)}\n`);
    return;
  }
  const { columns: width } = process.stdout;
  const shown = tables ?? parts.map((part) => partInWords(part, width));
  process.stdout.write([`${sentence}\n`, ...shown, `\n${settingsLine(settings)}\n`, ...notes].join(''));
}
