/** Perplexities of one text under several variants. */

import type { Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Budget } from '../before/experiment.js';
import { firstDelimiters, type Position } from './calibrate.js';
import { Losses, type Perplexity } from './perplexity.js';
import { going, type TextWindows } from './text.js';

export interface Row extends Perplexity {
  readonly name: string;
}

/** How far an experiment is, and its result once it is there. */
export interface Step<Result> {
  readonly phase: 'calibrating' | 'measuring' | 'running' | 'asking';
  readonly done: number;
  readonly of: number;
  readonly result?: Result;
}

/** Index of a position in a sequence; undefined where the sequence has no such token. */
export type Place = (position: Position) => number | undefined;

/**
 * Scores every window under every variant.
 *
 * @param variants for one sequence; the same ones for each, but for where tokens are
 * @param positions that they speak of: where all are indices, sequences are scored in one go
 */
export async function* scored(
  engine: Engine,
  { model, memory, threads }: Budget & { readonly model: string },
  { sequences }: TextWindows,
  variants: (place: Place) => readonly Variant[],
  positions: readonly Position[],
  signal?: AbortSignal,
): AsyncGenerator<Step<readonly Row[]>, void, void> {
  const fixed = positions.every((position) => typeof position === 'number');
  const delimiters = fixed ? [] : await delimitersOf(engine, model, sequences, signal);
  const parts = fixed ? [sequences] : sequences.map((sequence) => [sequence]);
  const losses: Losses[] = [];
  const names: string[] = [];
  let done = 0;
  for (const [i, part] of parts.entries()) {
    const own = variants((position) => (position === 'first delimiter' ? delimiters[i] : position));
    names.splice(0, names.length, ...own.map(({ name }) => name));
    const request = { model, sequences: part, variants: own, memory, threads };
    for await (const event of going(engine.measure(request, signal))) {
      losses[event.variant] ??= new Losses();
      losses[event.variant].add(event.losses);
      if (event.variant < own.length - 1) continue;
      done++;
      const result = done === sequences.length ? rowsOf(names, losses) : undefined;
      yield { phase: 'measuring', done, of: sequences.length, result };
    }
  }
}

/**
 * Scores one window, before anything is run for long.
 *
 * @throws SinkscopeError as {@link scored} would in its end: `input` for a model without perplexity, `too-long`
 */
export async function checkScores(
  engine: Engine,
  { model, memory, threads }: Budget & { readonly model: string },
  { sequences }: TextWindows,
  signal?: AbortSignal,
): Promise<void> {
  const variants = [{ name: 'as is', interventions: [] }];
  const events = engine.measure({ model, sequences: sequences.slice(0, 1), variants, memory, threads }, signal);
  for await (const _ of going(events));
}

const rowsOf = (names: readonly string[], losses: readonly Losses[]): Row[] =>
  names.map((name, i) => ({ name, ...losses[i].perplexity }));

function delimitersOf(
  engine: Engine,
  model: string,
  sequences: TextWindows['sequences'],
  signal: AbortSignal | undefined,
) {
  return firstDelimiters(
    engine,
    model,
    sequences.map(({ ids }) => ids),
    signal,
  );
}
