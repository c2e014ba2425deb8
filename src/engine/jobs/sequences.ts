/** What every job asks of the sequences that it runs. */
import { grouped, SinkscopeError } from '../../errors.js';
import { greatest } from '../../statistics/numbers.js';
import { checkIds } from '../../tokens/tokenizer.js';
import { checkRows } from '../inputs/rows.js';
import type { LoadedModel } from '../stages/loaded.js';

/**
 * That a model takes these sequences, whose rows are tokens.
 *
 * @param called what one is, with its article
 * @throws SinkscopeError `input` for an id out of range, or where rows are no tokens; `too-long` above the context
 */
export function checkSequences(
  { anatomy, summary: { context, vocabulary }, file }: LoadedModel,
  sequences: readonly (readonly number[])[],
  called: string,
): void {
  checkRows(anatomy.rows, file);
  const longest = greatest(sequences.map(({ length }) => length));
  if (context !== undefined && longest > context) {
    throw new SinkscopeError({
      code: 'too-long',
      message: `${called} of ${grouped(longest)} tokens is longer than the model's context of ${grouped(context)}; choose a shorter one.`,
      limit: { tokens: longest, context },
    });
  }
  for (const ids of sequences) checkIds(ids, vocabulary);
}
