/** A text that a model writes on, and what is seen of it on the way. */
import { kindOf } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { BegunEvent, GeneratedEvent, GenerateRequest, WrittenEvent } from '../../engine/contract/generate.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import type { Budget, Run } from '../experiment.js';

export interface WritingRequest extends Budget, Pick<GenerateRequest, 'model' | 'prompt' | 'bos' | 'tokens'> {
  readonly part: 'first' | 'last' | undefined;
  readonly sampling: GenerateRequest['sampling'];
  readonly thresholds: Thresholds;
}

/** An entry of a hidden state that is massive by the median of the prompt's at its layer. */
export interface MassiveEntry {
  /** k of its h_k. */
  readonly layer: number;
  readonly dim: number;
  readonly value: number;
}

export interface WrittenToken extends Omit<WrittenEvent, 'type' | 'top'> {
  /** By layer, its largest magnitude. */
  readonly largest: readonly number[];
  readonly massive: readonly MassiveEntry[];
}

export interface WritingResult extends Pick<WritingRequest, 'model' | 'sampling' | 'thresholds'> {
  readonly begun: BegunEvent;
  readonly asked: number;
  readonly written: readonly WrittenToken[];
  /** `stopped`: something went wrong when tokens had been written. */
  readonly ended: GeneratedEvent['ended'] | 'stopped';
  readonly text: string;
  readonly cache: GeneratedEvent['cache'] | undefined;
  /** What went wrong. */
  readonly problem: string | undefined;
}

/**
 * Writes on. What has been written when something goes wrong is the result, with what it was.
 *
 * @throws SinkscopeError where nothing can be written; `cancelled` when `signal` is aborted
 */
export async function* writeOn(engine: Engine, request: WritingRequest, signal?: AbortSignal): Run<WritingResult> {
  const { model, prompt, bos, tokens, part, sampling, thresholds, memory, threads } = request;
  const { epsilon, minQueries, minShare } = thresholds;
  const sinks = { epsilon, minQueries, minShare };
  const asked = { model, prompt, bos, window: part, tokens, sampling, untilEnd: true, sinks, memory, threads };
  const written: WrittenToken[] = [];
  let begun: BegunEvent | undefined;
  for await (const event of engine.run('generate', asked, signal)) {
    const result = (end: Pick<WritingResult, 'ended' | 'text' | 'cache' | 'problem'>): WritingResult => {
      if (!begun) throw new Error('the prompt was not run');
      return { model, sampling, thresholds, begun, asked: tokens, written: [...written], ...end };
    };
    const sofar = written.at(-1)?.added.replace(/\uFFFD+$/, '') ?? '';
    switch (event.type) {
      case 'failed': {
        if (event.problem.code === 'cancelled' || written.length === 0) throw new SinkscopeError(event.problem);
        return result({ ended: 'stopped', text: sofar, cache: undefined, problem: event.problem.message });
      }
      case 'generated':
        return result({ ended: event.ended, text: event.text, cache: event.cache, problem: undefined });
      case 'begun':
        begun = event;
        yield { phase: 'token', done: 0, of: tokens };
        break;
      case 'written': {
        const token = tokenOf(event, begun, thresholds);
        written.push(token);
        const text = event.added.replace(/\uFFFD+$/, '');
        const partial = result({ ended: 'tokens', text, cache: undefined, problem: undefined });
        yield { phase: 'token', done: written.length, of: tokens, note: oneLine(text), partial };
      }
    }
  }
  throw new Error('writing did not end');
}

function tokenOf({ type: _, top, ...event }: WrittenEvent, begun: BegunEvent | undefined, thresholds: Thresholds) {
  const massive = top.flatMap((entries, layer) => {
    const state = begun?.states[layer];
    return entries
      .filter(({ value }) => state && kindOf(value, state, thresholds) === 'massive')
      .map(({ dim, value }) => ({ layer, dim, value }));
  });
  return { ...event, largest: top.map(([first]) => Math.abs(first?.value ?? Number.NaN)), massive };
}

/** The end of a text, for a line that grows. */
const oneLine = (text: string) => text.replace(/\s+/g, ' ').slice(-40);
