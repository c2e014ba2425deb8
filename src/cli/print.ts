/** How the result of an experiment is printed. */
import { settingsLine } from '../analysis/presentation.js';
import type { Outcome } from '../experiments/experiment.js';
import { partInWords } from './table.js';
import { type Line, lineWidth, print, printJson, remark } from './terminal.js';

/**
 * Prints a result on stdout: as JSON, with its warnings on stderr as well; or in words, as the panel has them: the
 * sentence, tables, all that the figures depend on, and the warnings.
 *
 * @param tables in place of the presentation's own
 */
export function printOutcome(
  asJson: boolean | undefined,
  { presentation, json }: Outcome,
  tables?: readonly Line[],
): void {
  const { sentence, settings, warnings, parts } = presentation;
  if (asJson) {
    remark(warnings);
    printJson(json);
    return;
  }
  const width = lineWidth();
  print([
    sentence,
    ...(tables ?? parts.flatMap((part) => partInWords(part, width))),
    '',
    settingsLine(settings),
    ...warnings,
  ]);
}
