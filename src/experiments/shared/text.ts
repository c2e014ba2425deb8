/** What the experiments on texts share: sequences to run, and runs that either go on or throw. */

import { formatNumber } from '../../analysis/format.js';
import type { FailedEvent } from '../../engine/contract/events.js';
import type { DoneEvent, ProgressEvent } from '../../engine/contract/measure.js';
import type { EncodedText } from '../../engine/contract/protocol.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Progress } from '../experiment.js';
import { type Windowing, type Windows, windowsOf } from './windows.js';

export interface TextWindows extends Windows {
  /** The token every sequence begins with; undefined where there is none. */
  readonly prefix: number | undefined;
  /** Characters of the text that the tokenizer has no token for, or only the unknown one. */
  readonly lost: number;
}

/**
 * The windows of a text for a model.
 *
 * @throws SinkscopeError `tokenizer` or `input` where the text cannot be cut into windows, `too-long` for windows above
 *   the context
 */
export async function textWindows(
  engine: Engine,
  model: string,
  text: string,
  windowing: Windowing & { readonly bos?: boolean },
  signal?: AbortSignal,
): Promise<TextWindows> {
  const { ids, prefix, lost } = await encode(engine, model, text, { ...windowing, most: windowing.tokens }, signal);
  const { context } = (await engine.inspect(model, signal, { takes: 'text' })).model;
  const { window } = windowing;
  if (context !== undefined && window > context) {
    throw new SinkscopeError({
      code: 'too-long',
      message: `Sequences of ${formatNumber(window)} tokens are longer than the model's context; at most ${formatNumber(context)} fit.`,
      limit: { tokens: window, context },
    });
  }
  return { ...windowsOf(ids, prefix, windowing), prefix, lost };
}

/**
 * A text's ids, the token to put before each sequence, and how many characters have no token.
 *
 * @param options.bos whether there is such a token; undefined: as the model's files say
 * @param options.most how many of the text's first tokens are wanted; undefined: all
 * @param options.isPrompt as for {@link Engine.encode}
 * @throws SinkscopeError `tokenizer` as {@link Engine.encode}, `input` for a text without tokens
 */
export async function encode(
  engine: Engine,
  model: string,
  text: string,
  {
    bos,
    most,
    isPrompt,
    called = 'The text',
  }: {
    readonly bos?: boolean;
    readonly most?: number | undefined;
    readonly isPrompt?: boolean;
    readonly called?: string;
  },
  signal?: AbortSignal,
): Promise<EncodedText> {
  const found = await engine.encode(model, text, { bos, most, isPrompt, signal });
  if (found.ids.length > 0) return found;
  throw new SinkscopeError({
    code: 'input',
    message: `${called} is empty: the model is fed no token of it; give another.`,
  });
}

/**
 * The events of a job without its end.
 *
 * @throws SinkscopeError with its problem where it fails
 */
export async function* follow<E extends { readonly type: string }>(
  events: AsyncIterable<E | DoneEvent | FailedEvent>,
): AsyncGenerator<Exclude<E, DoneEvent | FailedEvent>, void, void> {
  for await (const event of events) {
    if (isFailed(event)) throw new SinkscopeError(event.problem);
    if (event.type !== 'done') yield event as Exclude<E, DoneEvent | FailedEvent>;
  }
}

/** How far `of` sequences are, told from what their job says: where those under way are, and what is done. */
export function progressThrough(phase: string, of: number) {
  /** Those under way are before this one, and have so much behind them. */
  let [end, share] = [0, 0];
  type Passed = 'measured' | 'states' | 'paired' | 'restored' | 'noises' | 'treated' | 'outliers';
  return (event: ProgressEvent | { readonly type: Passed; readonly sequence: number }): Progress => {
    if (event.type !== 'progress') {
      const done = event.sequence + 1;
      return { phase, done, of, underWay: Math.max(0, end - done) * share };
    }
    [end, share] = [event.to, event.done / event.of];
    const note = `block ${event.done + 1} of ${event.of}`;
    return { phase, done: event.from, of, underWay: (end - event.from) * share, note };
  };
}

const isFailed = (event: { readonly type: string }): event is FailedEvent => event.type === 'failed';

/** That the model does not get to see some characters. */
export function lostInWords(lost: number): string {
  const characters = lost === 1 ? 'One character' : `${formatNumber(lost)} characters`;
  return `${characters} of the text have no token of their own in this model’s tokenizer: it does not get to see them.`;
}
