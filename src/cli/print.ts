/** How the result of an experiment is printed. */
import { settingsLine } from '../analysis/presentation.js';
import type { Outcome } from '../experiments/experiment.js';
import { printMarkdown, type Sharing } from './sharing.js';
import { partInWords } from './table.js';
import { type Line, lineWidth, print, printJson, remark } from './terminal.js';

/**
 * Prints a result on stdout: as JSON, with its warnings on stderr as well; as Markdown; or in words, as the panel has them: the
 * sentence, tables, all that the figures depend on, and the warnings.
 *
 * @param tables in place of the presentation's own
 */
export function printOutcome(
  form: Pick<Sharing, 'markdown'> & { readonly json?: boolean },
  { presentation, json }: Outcome,
  tables?: readonly Line[],
): void {
  const { sentence, settings, warnings, parts } = presentation;
  if (form.markdown) {
    printMarkdown(presentation);
    return;
  }
  if (form.json) {
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
