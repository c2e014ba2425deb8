/** StreamingLLM (arXiv:2309.17453): what a sliding window loses, and what keeping the first tokens gives back. */

import type { Analysis } from '../../analysis/analysis.js';
import { counted, formatFixed } from '../../analysis/format.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import { grouped, SinkscopeError } from '../../errors.js';
import { mean } from '../../statistics/numbers.js';
import type { Budget, Progress, Run } from '../experiment.js';
import { ask, runPrompt } from '../shared/run.js';
import { type TextWindows, textWindows } from '../shared/text.js';
import { type Row, score } from '../shared/variants.js';
import { type Rolled, rolledConclusion, rollOver } from './rolling.js';

export interface StreamingRequest extends Budget {
  readonly model: string;
  readonly text: string;
  /** Keys a query sees, its own included. */
  readonly window: number;
  /** How many of them are the first of the sequence, in the second variant. */
  readonly sinks: number;
  /** Tokens of a sequence, prefix included. */
  readonly length: number;
  /** Only the first so many tokens of the text. */
  readonly tokens?: number;
  /** Tokens that go through rolling caches in one sequence, prefix included; 0: none. Undefined: ten times the length. */
  readonly rolling?: number;
  /** By which tokens are massive that a cache in few bits keeps in float. */
  readonly thresholds: Thresholds;
  /** False: without the model's prefix token. */
  readonly bos?: boolean;
}

export interface StreamingResult {
  readonly model: string;
  readonly window: number;
  readonly sinks: number;
  readonly windows: TextWindows;
  /**
   * Attention mass on what each window leaves out, [layer - 1][head], when the model sees everything: on the first
   * sequence, over the queries that have more than `window` tokens behind and with them. Empty for a block without
   * a pattern.
   */
  readonly evicted: Readonly<Record<'window' | 'window and sinks', readonly (readonly number[])[]>>;
  /** `all`, `window`, `window and sinks`. Positions stay those in the sequence. */
  readonly rows: readonly Row[];
  /** One long sequence; undefined where none was asked for. */
  readonly rolling: Rolled | undefined;
}

/**
 * Attention mass that is evicted, then the perplexities.
 *
 * @throws SinkscopeError where text, model or windows do not fit, or a block's pattern is hidden or not causal
 */
export async function* streamThrough(
  engine: Engine,
  request: StreamingRequest,
  signal?: AbortSignal,
): Run<StreamingResult> {
  const { model, text, window, sinks, length, tokens, bos } = request;
  if (window >= length) {
    throw new SinkscopeError({
      code: 'input',
      message: `A window of ${grouped(window)} leaves nothing out of sequences of ${grouped(length)} tokens; choose a smaller window or longer sequences.`,
    });
  }
  if (sinks >= window) {
    throw new SinkscopeError({
      code: 'input',
      message: `${sinks} sink tokens fill a window of ${window}; choose fewer, so that a query sees itself too.`,
    });
  }
  const windows = await textWindows(engine, model, text, { window: length, tokens, bos }, signal);
  if (window >= windows.window) {
    throw new SinkscopeError({
      code: 'input',
      message: `The text is run as ${windows.window} tokens, of which an attention window of ${window} leaves nothing out; give a longer text or a smaller window.`,
    });
  }
  const kept = { window: { window, sinks: 0 }, 'window and sinks': { window, sinks } } as const;
  const first = yield* runFirst(engine, { ...request, windows }, signal);
  const shares: (readonly (readonly number[])[])[] = [];
  for (const [i, statistics] of first.attention.entries()) {
    const query = { type: 'evicted', layer: i + 1, windows: Object.values(kept) } as const;
    shares.push(statistics ? (await ask(engine, query, signal)).shares : []);
    yield { phase: 'asking', done: i + 1, of: first.attention.length };
  }
  const evicted = { window: shares.map(([w]) => w ?? []), 'window and sinks': shares.map(([, s]) => s ?? []) };
  const variants: Variant[] = [
    { name: 'all', interventions: [] },
    { name: 'window', interventions: [], attention: kept.window },
    { name: 'window and sinks', interventions: [], attention: kept['window and sinks'] },
  ];
  const rows = yield* score(engine, request, windows, () => variants, [], signal);
  const { rolling: most = 10 * length } = request;
  const rolling = most === 0 ? undefined : yield* rollOver(engine, { ...request, most }, signal);
  return { model, window, sinks, windows, evicted, rows, rolling };
}

/** Runs the first sequence as it is, for questions about its attention. */
async function* runFirst(
  engine: Engine,
  request: StreamingRequest & { readonly windows: TextWindows },
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, Analysis, void> {
  const { model, windows, length, memory, threads } = request;
  const ids = windows.sequences[0]?.ids ?? [];
  try {
    return yield* runPrompt(engine, { model, prompt: { ids }, memory, threads }, signal);
  } catch (error) {
    throw SinkscopeError.is(error, 'too-long') ? tooLong(error, length) : error;
  }
}

function tooLong(error: SinkscopeError, length: number): SinkscopeError {
  const context = error.limit?.context;
  const message = `Sequences of ${length} tokens are too long for this model or the memory it may use: at most ${context} fit.`;
  return new SinkscopeError({ ...error, message }, { cause: error });
}

/** Mean share over all heads. */
export function meanShare(shares: readonly (readonly number[])[]): number {
  return mean(shares.flat());
}

/** What the rows say, the finding first; that the sinks do not matter, where they do not. What is evicted stands over its heatmaps. */
export function streamingConclusion(result: StreamingResult): string {
  const { rolling, window } = result;
  return [windowConclusion(result), rolling && rolledConclusion(rolling, window)].filter(Boolean).join(' ');
}

function windowConclusion({ rows, window, sinks }: StreamingResult): string {
  const of = (name: string) => rows.find((row) => row.name === name)?.perplexity ?? Number.NaN;
  const [all, without, withSinks] = [of('all'), of('window'), of('window and sinks')];
  const kept = sinks === 1 ? 'the first token' : `the first ${sinks} tokens`;
  const figures = `a window of ${counted(window, 'key')} takes perplexity from ${formatFixed(all)} to ${formatFixed(without)}, with ${kept} kept to ${formatFixed(withSinks)}`;
  const [lost, regained] = [without / all - 1, without / withSinks - 1];
  if (lost < 0.02) return `This model hardly notices the window: ${figures}.`;
  if (regained < 0.02)
    return `The first tokens give nothing back, so the model does not lean on them as sinks: ${figures}.`;
  return `The first tokens are sinks that the model needs: ${figures}.`;
}
