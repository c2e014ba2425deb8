/** From what the user gave (text, ids, tensors or a picture) to the tokens that are run. */
import type { Tokenizer } from '../../tokens/tokenizer.js';
import type { RunRequest } from '../contract/events.js';
import { fixedLength } from './feeds.js';
import { beside, fromFile } from './file.js';
import { fromPicture } from './picture.js';
import type { Limits, Prompt } from './prompt.js';
import { withOtherRows } from './rows.js';
import { fromIds, fromText } from './text.js';

/**
 * The tokens (or tensors) to run, with a token for every row of h_0 that is none.
 *
 * @throws SinkscopeError `tokenizer`, `input`, `file`, or `too-long` where there are more tokens than the model takes
 * and no window was chosen.
 */
export async function readPrompt(
  request: RunRequest,
  limits: Limits,
  tokenizer: () => Tokenizer | undefined,
): Promise<Prompt> {
  return withOtherRows(await asGiven(request, limits, tokenizer), limits.rows, fixedLength(limits.inputs));
}

async function asGiven(request: RunRequest, limits: Limits, tokenizer: () => Tokenizer | undefined): Promise<Prompt> {
  const { prompt } = request;
  if ('text' in prompt)
    return { ...(await fromText(prompt.text, request, limits, tokenizer())), ...(await beside(prompt.beside, limits)) };
  if ('image' in prompt) return fromPicture(prompt.image, limits);
  if ('ids' in prompt)
    return { ...fromIds(prompt.ids, request, limits, tokenizer()), ...(await beside(prompt.beside, limits)) };
  return fromFile(prompt, limits, tokenizer);
}
