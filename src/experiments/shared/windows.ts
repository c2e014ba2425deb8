/** How a text is cut into the sequences that are scored. */

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
}

export interface Windows {
  readonly sequences: readonly Sequence[];
  /** Tokens at the end that fill no sequence. */
  readonly left: number;
  readonly stride: number;
}

/**
 * Consecutive pieces of a text, each after the model's prefix token where it has one (part of the window). Every text
 * token of a piece is scored, without a prefix all but the first; with a stride, the last `stride` tokens of each.
 *
 * @throws SinkscopeError `input` where the window or stride makes no sense or the text fills no piece.
 */
export function windowsOf(ids: ArrayLike<number>, prefix: number | undefined, options: Windowing): Windows {
  const { window } = options;
  const head = prefix === undefined ? [] : [prefix];
  const piece = window - head.length;
  if (!Number.isInteger(window) || piece < 2) {
    throw new SinkscopeError({
      code: 'input',
      message: `A window of ${window} tokens has none to score; choose a larger one.`,
    });
  }
  if (options.stride !== undefined && (!Number.isInteger(options.stride) || options.stride < 1)) {
    throw new SinkscopeError({
      code: 'input',
      message: `The stride must be a whole number from 1 on, not ${options.stride}.`,
    });
  }
  if (options.stride !== undefined && options.stride > window) {
    throw new SinkscopeError({
      code: 'input',
      message: `A stride of ${options.stride} tokens would step over text between windows of ${window}; choose at most ${window}.`,
    });
  }
  // A stride of the whole window means pieces that do not overlap; the prefix is no part of the text.
  const stride = Math.min(options.stride ?? piece, piece);
  const text = Array.from(ids).slice(0, options.tokens);
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
      message: `${options.called ?? 'The text'} has ${text.length} tokens, fewer than the ${piece} that fill one window; give a longer text or a smaller window.`,
    });
  }
  return { sequences, left: text.length - end, stride };
}
