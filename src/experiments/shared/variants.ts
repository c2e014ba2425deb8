/** Perplexities of one text under several variants. */

import type { Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Budget, Progress } from '../experiment.js';
import type { Position } from './calibrate.js';
import { firstDelimiters } from './delimiter.js';
import { Losses, type Perplexity } from './perplexity.js';
import { follow, type TextWindows } from './text.js';

export interface Row extends Perplexity {
  readonly name: string;
}

/** Index of a position in a sequence; undefined where the sequence has no such token. */
export type Place = (position: Position) => number | undefined;

/**
 * Scores every window under every variant: a row for each.
 *
 * @param variants for one sequence; the same ones for each, but for where tokens are
 * @param positions that they speak of: where all are indices, sequences are scored in one go
 */
export async function* score(
  engine: Engine,
  { model, memory, threads }: Budget & { readonly model: string },
  { sequences }: TextWindows,
  variants: (place: Place) => readonly Variant[],
  positions: readonly Position[],
  signal?: AbortSignal,
): AsyncGenerator<Progress, readonly Row[], void> {
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
    for await (const event of follow(engine.measure(request, signal))) {
      const known = losses[event.variant] ?? new Losses();
      losses[event.variant] = known;
      known.add(event.losses);
      if (event.variant < own.length - 1) continue;
      yield { phase: 'measuring', done: ++done, of: sequences.length };
    }
  }
  return names.map((name, i) => ({ name, ...(losses[i] ?? new Losses()).perplexity }));
}

/**
 * Scores one window, before anything is run for long.
 *
 * @throws SinkscopeError as {@link score} would in its end: `input` for a model without perplexity, `too-long`
 */
export async function checkScores(
  engine: Engine,
  { model, memory, threads }: Budget & { readonly model: string },
  { sequences }: TextWindows,
  signal?: AbortSignal,
): Promise<void> {
  const variants = [{ name: 'as is', interventions: [] }];
  const events = engine.measure({ model, sequences: sequences.slice(0, 1), variants, memory, threads }, signal);
  for await (const _ of follow(events));
}

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
