/** A prompt of text or token ids, cut to the part that is run. */

import { pixelInput } from '../../anatomy/pictures.js';
import { grouped, SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { checkFit, checkIds, type Tokenizer } from '../../tokens/tokenizer.js';
import type { Tokens } from '../../tokens/tokens.js';
import type { RunRequest } from '../contract/events.js';
import { chatSaid } from '../contract/request.js';
import { type Limits, type Prompt, tokensOf } from './prompt.js';

/** Characters from which on all tokens of a text are counted only for a part that lies behind others: that takes seconds. */
const longText = 100_000;

/**
 * @throws SinkscopeError `tokenizer` where there is none, it does not fit the model or has no token for the text,
 *   `input` for an empty text, `too-long` where no window was chosen
 */
export async function fromText(
  text: string,
  request: RunRequest,
  limits: Limits,
  tokenizer: Tokenizer | undefined,
): Promise<Prompt> {
  if (!tokenizer) {
    throw new SinkscopeError({
      code: 'tokenizer',
      file: limits.file,
      message: withoutTokenizer(limits),
    });
  }
  if (limits.vocabulary !== undefined) checkFit(tokenizer, limits.vocabulary);
  const { lineEnds = 'lf', chat } = request;
  const isNear = request.window === undefined || request.window === 'first';
  const isLong = text.length > longText && isNear && chat === undefined;
  // One token more than fit tells as much as all of them.
  const most = isLong ? limits.context + 1 : undefined;
  const encoding = { bos: request.bos, lineEnds, chat, most, onPart: limits.onPart };
  const { tokens, bos, prefix, suffix, changed, remark } = await tokenizer.encode(text, encoding);
  const isCut = isLong && tokens.length > limits.context;
  if (isCut && request.window === undefined) {
    const has = `more than ${grouped(limits.context)} tokens (${grouped(text.length)} characters)`;
    throw tooLong(has, tokens.length, limits);
  }
  if (tokens.length === 0) {
    throw new SinkscopeError({ code: 'input', message: 'There is no text to analyze; select some or write some.' });
  }
  checkIds(tokens.ids, limits.vocabulary);
  const read = { as: lineEnds, changed };
  return {
    given: new Map(),
    source: 'text',
    bos,
    lineEnds: read,
    chat: chatSaid(chat),
    remark,
    ...windowed(tokens, prefix, suffix, request, limits),
    ...(isCut && { total: undefined }),
  };
}

function withoutTokenizer({ file, inputs }: Limits): string {
  if (inputs.some(({ type }) => type === DataType.string)) {
    return `${file} takes text itself, by a tokenizer inside of its graph, which is not run here; export it without one, and put its tokenizer.json beside it.`;
  }
  if (pixelInput(inputs) && !inputs.some(({ role }) => role === 'token-ids')) {
    return `${file} takes pictures, not text; give it a picture, or choose another model for the text.`;
  }
  return `${file} has no tokenizer.json beside it: put the model's own there, or give token ids.`;
}

/** @throws SinkscopeError `input` for no ids or one out of range, `too-long` where no window was chosen */
export function fromIds(
  ids: readonly number[],
  request: RunRequest,
  limits: Limits,
  tokenizer: Tokenizer | undefined,
): Prompt {
  if (ids.length === 0)
    throw new SinkscopeError({ code: 'input', message: 'No token ids were given; give at least one.' });
  checkIds(ids, limits.vocabulary);
  return {
    given: new Map(),
    source: 'ids',
    bos: undefined,
    ...windowed(tokensOf(ids, tokenizer), 0, 0, request, limits),
  };
}

/** The part of `tokens` that is run; what stands before and after the text is kept. */
function windowed(
  tokens: Pick<Tokens, 'length' | 'slice'>,
  prefix: number,
  suffix: number,
  request: RunRequest,
  limits: Limits,
): Pick<Prompt, 'tokens' | 'total' | 'window'> {
  const total = tokens.length;
  const own = total - prefix - suffix;
  if (total <= limits.context) return { tokens: tokens.slice(0, total), total, window: { start: 0, end: own } };

  const room = limits.context - prefix - suffix;
  if (room < 1) throw noRoom(prefix + suffix, limits);
  if (request.window === undefined) throw tooLong(`${grouped(total)} tokens`, total, limits);
  const latest = own - room;
  const asked = request.window === 'first' ? 0 : request.window === 'last' ? latest : request.window.start;
  const start = Math.max(0, Math.min(asked, own - 1));
  const end = Math.min(start + room, own);
  return {
    tokens: [
      ...tokens.slice(0, prefix),
      ...tokens.slice(prefix + start, prefix + end),
      ...tokens.slice(total - suffix, total),
    ],
    total,
    window: { start, end },
  };
}

/** @param tokens that it has at least */
function tooLong(has: string, tokens: number, { because, context }: Limits): SinkscopeError {
  return new SinkscopeError({
    code: 'too-long',
    message: `The text has ${has}, but ${because}: choose a part of at most ${grouped(context)} tokens.`,
    limit: { tokens, context },
  });
}

/** @param around tokens that are put around the text, as a chat template does */
function noRoom(around: number, { because }: Limits): SinkscopeError {
  return new SinkscopeError({
    code: 'too-long',
    message: `What is put around the text takes ${grouped(around)} tokens by itself, but ${because}: run it without the chat template, or with a model or settings that leave more room.`,
  });
}
