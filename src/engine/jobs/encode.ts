/** A text as the ids that a model is run on. */
import { SinkscopeError } from '../../errors.js';
import { checkFit, checkIds, loadTokenizer } from '../../tokens/tokenizer.js';
import type { AnswerOf, RequestOf } from '../contract/protocol.js';
import type { LoadedModel } from '../stages/loaded.js';
import { allowTokenising, tokenizerPlace } from './current.js';
import { checkAlone } from './sequences.js';

/**
 * The ids of a text, cut after as many as are wanted, and the prefix that is put before each part of it.
 *
 * @throws SinkscopeError `input` where the model takes more than a text, `tokenizer` where there is none or it is another model's
 */
export async function encodeText(
  loaded: LoadedModel,
  { model, text, bos, lineEnds, chat, most }: RequestOf<'encode'>,
): Promise<AnswerOf<'encode'>> {
  checkAlone(loaded);
  const tokenizer = loadTokenizer(tokenizerPlace(model));
  if (!tokenizer) {
    throw new SinkscopeError({
      code: 'tokenizer',
      file: model,
      message: `${model} has no tokenizer.json beside it: put the model's own there.`,
    });
  }
  const { vocabulary } = loaded.summary;
  if (vocabulary !== undefined) checkFit(tokenizer, vocabulary);
  const prefixIds = tokenizer.bos?.ids ?? [];
  const {
    tokens,
    suffix,
    lost,
    bos: isPrefixed,
  } = await tokenizer.encode(text, {
    bos,
    lineEnds,
    chat,
    // A prefix that the text spells is none of those that are wanted of it.
    most: most === undefined ? undefined : most + prefixIds.length,
    onPart: allowTokenising,
  });
  // Put there, or written in the text: either way it is the prefix of what is run.
  const prefix = isPrefixed ? prefixIds : [];
  // What a template wrote behind the text is part of what is run.
  const after = chat === undefined ? suffix : 0;
  const ids = tokens.ids.slice(prefix.length, tokens.length - after).slice(0, most);
  checkIds(ids, vocabulary);
  return { ids, prefix: prefix[0], lost };
}
