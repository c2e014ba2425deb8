/** Perplexity with a running value and a confidence interval. */
import { formatNumber } from '../../analysis/format.js';
import type { Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Budget, Run } from '../experiment.js';
import { follow, progressThrough, textWindows } from './text.js';
import type { Windowing } from './windows.js';

/** A sequence as the model runs it. */
export const asIs: Variant = { name: 'as is', interventions: [] };

/** Losses are −ln p of single tokens. */
export interface Perplexity {
  /** exp of the mean loss. */
  readonly perplexity: number;
  /** Tokens scored. */
  readonly tokens: number;
  /** 95 % interval of the perplexity, from the losses' standard error as if tokens were independent. */
  readonly interval: readonly [number, number];
}

/** A perplexity with its interval, where enough was scored for one. */
export function withInterval({ perplexity, interval }: Perplexity): string {
  const value = formatNumber(perplexity);
  return interval.every(Number.isFinite)
    ? `${value} (95 % interval ${interval.map(formatNumber).join(' to ')})`
    : value;
}

/** A running mean and variance (Welford) of losses. */
export class Losses {
  private count = 0;
  private mean = 0;
  private squares = 0;

  add(losses: Iterable<number>): void {
    for (const loss of losses) {
      this.count++;
      const difference = loss - this.mean;
      this.mean += difference / this.count;
      this.squares += difference * (loss - this.mean);
    }
  }

  get perplexity(): Perplexity {
    const error = this.count > 1 ? Math.sqrt(this.squares / (this.count - 1) / this.count) : Number.POSITIVE_INFINITY;
    const at = (loss: number) => Math.exp(loss);
    return {
      perplexity: at(this.mean),
      tokens: this.count,
      interval: [at(this.mean - 1.96 * error), at(this.mean + 1.96 * error)],
    };
  }
}

export interface PerplexityRequest extends Windowing, Budget {
  /** Path of the `.onnx` file. */
  readonly model: string;
  readonly text: string;
  /** False: without the model's prefix token. */
  readonly bos?: boolean;
}

/** The value so far, and all that it depends on. */
export interface TextPerplexity extends Perplexity {
  readonly model: string;
  /** Tokens of a sequence, prefix included, and those from one sequence's start to the next. */
  readonly window: number;
  /** As of {@link Windows}. */
  readonly asked: number | undefined;
  readonly stride: number;
  /** The token that every sequence begins with. */
  readonly prefix: number | undefined;
  /** Sequences that are scored, and of how many. */
  readonly done: number;
  readonly windows: number;
  /** Tokens at the text's end that fill no window, and characters that the tokenizer has no token for. */
  readonly left: number;
  readonly lost: number;
}

/**
 * Perplexity of a text, window by window: what it is after each, and in the end.
 *
 * @throws SinkscopeError where text, model or window do not fit; `cancelled` when `signal` is aborted
 */
export async function* measurePerplexity(
  engine: Engine,
  request: PerplexityRequest,
  signal?: AbortSignal,
): Run<TextPerplexity> {
  const { model, memory, threads } = request;
  const windows = await textWindows(engine, model, request.text, request, signal);
  const { left, lost, stride, prefix, window, asked } = windows;
  const of = windows.sequences.length;
  const facts = { model, window, asked, stride, prefix, windows: of, left, lost };
  const losses = new Losses();
  const sequences = windows.sequences.map((sequence) => ({ ...sequence, variants: [asIs] }));
  const progress = progressThrough('window', of);
  for await (const event of follow(engine.run('measure', { model, sequences, memory, threads }, signal))) {
    if (event.type === 'progress') yield progress(event);
    else {
      losses.add(event.losses);
      yield { ...progress(event), partial: { ...losses.perplexity, ...facts, done: event.sequence + 1 } };
    }
  }
  return { ...losses.perplexity, ...facts, done: of };
}
