/** What a diagnosis is made on: checks of what was asked for, calibration, and products that are restored. */
import type { Thresholds } from '../../analysis/thresholds.js';
import type { ExtentsEvent } from '../../engine/contract/extents.js';
import type { Quantisation, SchemeName } from '../../engine/contract/pair.js';
import type { RequestOf } from '../../engine/contract/protocol.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { checkTarget } from '../../saving.js';
import type { Budget, Progress } from '../experiment.js';
import { follow, progressThrough, type TextWindows, textWindows } from '../shared/text.js';
import { checkTwins } from '../shared/twins.js';
import type { Windowing } from '../shared/windows.js';
import { Figures } from './figures.js';
import type { Measured } from './list.js';
import { weightsOnly } from './remedies.js';

export interface DoctorRequest extends Windowing, Budget {
  readonly model: string;
  /** A file made from the model, or a scheme. */
  readonly by:
    | { readonly what: 'file'; readonly model: string }
    | { readonly what: 'scheme'; readonly scheme: SchemeName };
  readonly text: string;
  /** What ranges and factors are measured on; without one it is the text. */
  readonly calibrationText?: string | undefined;
  readonly bos?: boolean;
  /** Where the model that is smoothed best is written, in floats; undefined: nowhere. */
  readonly saveSmooth?: string | undefined;
  /** Mean KLD in nats that the list is to bring it under; undefined: a quarter of what it is. */
  readonly aim?: number;
  readonly thresholds: Thresholds;
}

export async function checkSmoothing(by: DoctorRequest['by'], file: string): Promise<void> {
  await checkTarget(file);
  if (by.what === 'scheme' && !weightsOnly.has(by.scheme)) return;
  const why = by.what === 'file' ? 'a file that was made' : `${by.scheme}, which rounds weights alone`;
  throw new SinkscopeError({
    code: 'input',
    message: `No smoothed model is made for ${why}: leave out --save-smooth, or give a scheme that rounds activations.`,
  });
}

/** That a file may be looked at as one made from the model. */
export async function checkMade(
  engine: Engine,
  { model: reference, text, bos }: DoctorRequest,
  model: string,
  identity: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await checkTwins(engine, { reference, model, text, bos }, signal);
  if ((await engine.identity(model, signal)) !== identity) return;
  if (!(await engine.sameWeights(reference, model, signal))) return;
  throw new SinkscopeError({
    code: 'input',
    file: model,
    message: `${model} is the model itself, or a copy of it: its graph is the same, and so are all its weights, so that nothing was quantised; give the file that was made from it.`,
  });
}

/** The windows of the calibration text, or without one those that are measured; one that is too short for a window is one. */
export async function calibrationOf(
  engine: Engine,
  request: DoctorRequest,
  windows: TextWindows,
  signal: AbortSignal | undefined,
): Promise<TextWindows> {
  const { by, calibrationText: text, model, window, bos } = request;
  if (text === undefined) {
    if (by.what === 'scheme' && by.scheme === 'int8-static')
      throw new SinkscopeError({
        code: 'input',
        message: 'int8-static takes its scales from another text: give one to calibrate on (--calibrate).',
      });
    return windows;
  }
  const windowing = { window, bos, tokens: request.tokens, called: 'The calibration text' };
  return textWindows(engine, model, text, windowing, signal);
}

export interface Seen {
  readonly extents: ExtentsEvent;
  /** By sequence and block, tokens that stand out. */
  readonly blocks: readonly (readonly (readonly number[])[])[];
}

export async function* extentsOf(
  engine: Engine,
  { model, memory, threads }: DoctorRequest,
  sequences: readonly (readonly number[])[],
  weights: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, Seen, void> {
  let extents: ExtentsEvent = { type: 'extents', ranges: [], inputs: [] };
  const blocks: (readonly (readonly number[])[])[] = [];
  const progress = progressThrough('calibrating', sequences.length);
  const asked = { model, sequences: sequences.map((ids) => ({ ids: [...ids] })), weights, memory, threads };
  for await (const event of follow(engine.run('extents', asked, signal))) {
    if (event.type === 'extents') extents = event;
    else {
      if (event.type === 'outliers') blocks.push(event.blocks.map(({ tokens }) => tokens));
      yield progress(event);
    }
  }
  return { extents, blocks };
}

export function simulatedBy(by: DoctorRequest['by'], extents: ExtentsEvent | undefined): Quantisation {
  if (by.what === 'file' || by.scheme !== 'int8-static' || !extents) return by;
  return { ...by, ranges: extents.ranges };
}

export async function* restored(
  engine: Engine,
  request: RequestOf<'restore'>,
  phase: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, readonly Measured[], void> {
  if (request.variants.length === 0) return [];
  const figures = new Figures(request.variants.length);
  const progress = progressThrough(phase, request.sequences.length);
  for await (const event of follow(engine.run('restore', request, signal))) {
    if (event.type === 'products' || event.type === 'noises') continue;
    if (event.type === 'restored') figures.add(event);
    yield progress(event);
  }
  return figures.means;
}
