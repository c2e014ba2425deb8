/** What the experiments on texts share: sequences to run, and runs that either go on or throw. */
import type { Engine } from '../engine/engine.js';
import type { FailedEvent, FinishedEvent } from '../engine/events.js';
import { SinkscopeError } from '../errors.js';
import { type Windowing, type Windows, windowsOf } from './windows.js';

/** What may be used. */
export interface Budget {
  /** Bytes that the engine may hold beside the block it runs. */
  readonly memory: number;
  /** 0: as ONNX Runtime chooses. */
  readonly threads: number;
}

export interface TextWindows extends Windows {
  /** The token every sequence begins with; undefined where there is none. */
  readonly prefix: number | undefined;
  /** Tokens of a sequence. */
  readonly window: number;
}

/**
 * The windows of a text for a model.
 *
 * @param bos false: leave the prefix token out
 * @throws SinkscopeError `tokenizer` or `input` where the text cannot be cut into windows
 */
export async function textWindows(
  engine: Engine,
  model: string,
  text: string,
  windowing: Windowing & { readonly bos?: boolean },
  signal?: AbortSignal,
): Promise<TextWindows> {
  const { ids, prefix } = await encoded(engine, model, text, windowing.bos, signal);
  return { ...windowsOf(ids, prefix, windowing), prefix, window: windowing.window };
}

/**
 * A text's ids and the token to put before each sequence.
 *
 * @throws SinkscopeError `tokenizer` where there is none, `input` for a text without tokens
 */
export async function encoded(engine: Engine, model: string, text: string, bos?: boolean, signal?: AbortSignal) {
  const { ids, prefix } = await engine.encode(model, text, signal);
  if (ids.length === 0) {
    throw new SinkscopeError({
      code: 'input',
      message: 'The text is empty: the model is fed no token of it; give another.',
    });
  }
  return { ids, prefix: bos === false ? undefined : prefix };
}

/**
 * The events of a job without its end.
 *
 * @throws SinkscopeError with its problem where it fails
 */
export async function* going<E extends { readonly type: string }>(
  events: AsyncIterable<E | FinishedEvent | FailedEvent>,
): AsyncGenerator<Exclude<E, FinishedEvent | FailedEvent>, void, void> {
  for await (const event of events) {
    if (isFailed(event)) throw new SinkscopeError(event.problem);
    if (event.type !== 'finished') yield event as Exclude<E, FinishedEvent | FailedEvent>;
  }
}

const isFailed = (event: { readonly type: string }): event is FailedEvent => event.type === 'failed';

/** What the text's end did not fill, in words; empty where nothing was left. */
export function leftOut({ left, window }: { readonly left: number; readonly window: number }): string {
  if (left === 0) return '';
  const tokens = left === 1 ? 'The last token was' : `The last ${left} tokens were`;
  return `${tokens} left out: too few to fill a window of ${window}.`;
}
