/** Perplexities of one text under several variants. */

import type { MeasureRequest, Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Budget, Progress } from '../experiment.js';
import type { Position } from './calibrate.js';
import { firstDelimiters } from './delimiter.js';
import { asIs, Losses, type Perplexity } from './perplexity.js';
import { follow, progressThrough, type TextWindows } from './text.js';

export interface Row extends Perplexity {
  readonly name: string;
}

/** Index of a position in a sequence; undefined where the sequence has no such token. */
export type Place = (position: Position) => number | undefined;

/**
 * Scores every window under every variant: a row for each.
 *
 * @param request.without scalars of weights that are 0 in all of them
 * @param variants for one sequence; the same ones for each, but for where tokens are
 * @param positions that they speak of
 */
export async function* score(
  engine: Engine,
  { model, memory, threads, without }: Budget & Pick<MeasureRequest, 'model' | 'without'>,
  { sequences }: TextWindows,
  variants: (place: Place) => readonly Variant[],
  positions: readonly Position[],
  signal?: AbortSignal,
): AsyncGenerator<Progress, readonly Row[], void> {
  const fixed = positions.every((position) => typeof position === 'number');
  const delimiters = fixed ? [] : await delimitersOf(engine, model, sequences, signal);
  const scored = sequences.map((sequence, i) => ({
    ...sequence,
    variants: variants((position) => (position === 'first delimiter' ? delimiters[i] : position)),
  }));
  const rows = (scored[0]?.variants ?? []).map(({ name }) => ({ name, losses: new Losses() }));
  const progress = progressThrough('measuring', sequences.length);
  for await (const event of follow(
    engine.run('measure', { model, sequences: scored, without, memory, threads }, signal),
  )) {
    if (event.type === 'measured') rows[event.variant]?.losses.add(event.losses);
    if (event.type === 'progress' || event.variant === rows.length - 1) yield progress(event);
  }
  return rows.map(({ name, losses }) => ({ name, ...losses.perplexity }));
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
  const first = sequences.slice(0, 1).map((sequence) => ({ ...sequence, variants: [asIs] }));
  const events = engine.run('measure', { model, sequences: first, memory, threads }, signal);
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
