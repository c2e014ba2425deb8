/** What every job asks of the sequences that it runs. */
import { grouped, SinkscopeError } from '../../errors.js';
import { greatest } from '../../statistics/numbers.js';
import { checkIds } from '../../tokens/tokenizer.js';
import { quoted } from '../../visible.js';
import { askedRoles } from '../inputs/feeds.js';
import type { LoadedModel } from '../stages/loaded.js';

/**
 * That a model takes these sequences, whose rows are tokens.
 *
 * @param called what one is, with its article
 * @throws SinkscopeError `input` for an id out of range, or as {@link checkTexts}; `too-long` above the context
 */
export function checkSequences(loaded: LoadedModel, sequences: readonly (readonly number[])[], called: string): void {
  checkTexts(loaded);
  const { context, vocabulary } = loaded.summary;
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

/**
 * That a model is run on tokens alone.
 *
 * @throws SinkscopeError `input` where rows are no tokens; as {@link checkAlone}
 */
export function checkTexts(loaded: Pick<LoadedModel, 'anatomy' | 'file'>): void {
  const { anatomy, file } = loaded;
  if (anatomy.rows !== undefined)
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} has rows in its hidden states that are no tokens (learned ones, or several inputs in turn), and this is computed for tokens alone; analyze one text at a time.`,
    });
  checkAlone(loaded);
}

/** @throws SinkscopeError `input` where something beside a text has to be given, as what an encoder gives */
export function checkAlone({ anatomy, file }: Pick<LoadedModel, 'anatomy' | 'file'>): void {
  const input = anatomy.inputs.find(({ role }) => askedRoles.has(role));
  if (input)
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} is not run on a text alone: its input ${quoted(input.name)} has to be given too, which only an analysis takes.`,
    });
}
