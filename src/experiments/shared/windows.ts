/** How a text is cut into the sequences that are scored. */

import { counted, formatNumber } from '../../analysis/format.js';
import type { Sequence } from '../../engine/contract/measure.js';
import { SinkscopeError } from '../../errors.js';

export interface Windowing {
  /** Tokens of a sequence, prefix included. */
  readonly window: number;
  /** Tokens scored in each sequence, and the step from one to the next; undefined: every token once. */
  readonly stride?: number;
  /** Only the first so many tokens of the text. */
  readonly tokens?: number;
  /** What messages call the text; `The text` unless there are several. */
  readonly called?: string;
  /** Sequences of another length are of no use; else a text that fills none is one by itself. */
  readonly exact?: true;
}

export interface Windows {
  readonly sequences: readonly Sequence[];
  /** Tokens of a sequence, prefix included. */
  readonly window: number;
  /** The length that was asked for, where the text has fewer tokens and is one shorter sequence; else undefined. */
  readonly asked: number | undefined;
  /** Tokens at the end that fill no sequence. */
  readonly left: number;
  readonly stride: number;
}

/**
 * Consecutive pieces of a text, each after the model's prefix token where it has one (part of the window). Every text
 * token of a piece is scored, without a prefix all but the first; with a stride, the last `stride` tokens of each. A
 * text that fills no piece is one by itself, unless that is ruled out.
 *
 * @throws SinkscopeError `input` where the window or stride makes no sense, or the text has no token to score
 */
export function windowsOf(ids: ArrayLike<number>, prefix: number | undefined, options: Windowing): Windows {
  const head = prefix === undefined ? [] : [prefix];
  const wanted = options.window - head.length;
  if (!Number.isInteger(options.window) || wanted < 2) {
    throw new SinkscopeError({
      code: 'input',
      message: `A window of ${options.window} tokens has none to score; choose a larger one.`,
    });
  }
  if (options.stride !== undefined && (!Number.isInteger(options.stride) || options.stride < 1)) {
    throw new SinkscopeError({
      code: 'input',
      message: `The stride must be a whole number from 1 on, not ${options.stride}.`,
    });
  }
  if (options.stride !== undefined && options.stride > options.window) {
    throw new SinkscopeError({
      code: 'input',
      message: `A stride of ${options.stride} tokens would step over text between windows of ${options.window}; choose at most ${options.window}.`,
    });
  }
  const text = Array.from(ids).slice(0, options.tokens);
  const isShort = text.length < wanted && options.exact !== true && head.length + text.length >= 2;
  const piece = isShort ? text.length : wanted;
  const window = head.length + piece;
  // A stride of the whole window means pieces that do not overlap; the prefix is no part of the text.
  const stride = Math.min(options.stride ?? piece, piece);
  const scored = Math.min(stride, window - 1);
  const sequences: Sequence[] = [];
  let end = 0;
  for (let start = 0; start + piece <= text.length; start += stride) {
    end = start + piece;
    sequences.push({ ids: [...head, ...text.slice(start, end)], from: window - scored });
  }
  if (sequences.length === 0) {
    throw new SinkscopeError({
      code: 'input',
      message:
        options.exact === true
          ? `${options.called ?? 'The text'} has ${counted(text.length, 'token')}, fewer than the ${formatNumber(piece)} that are wanted of it; give a longer one.`
          : `${options.called ?? 'The text'} has ${counted(text.length, 'token')}, so that none follows another; give a longer one.`,
    });
  }
  return { sequences, window, asked: isShort ? options.window : undefined, left: text.length - end, stride };
}
