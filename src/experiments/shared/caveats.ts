/** What figures of calibrated experiments have to be read with, in words. */
import type { Engine } from '../../engine/host/engine.js';
import type { CalibratedRequest, Calibration } from './calibrate.js';

/** Whether the model's own prefix token is left out by request. */
export async function leavesOutPrefix(
  engine: Engine,
  { model, text, bos }: Pick<CalibratedRequest, 'model' | 'text' | 'bos'>,
  signal?: AbortSignal,
): Promise<boolean> {
  return bos === false && (await engine.encode(model, text, { most: 1, signal })).prefix !== undefined;
}

/** Whether one text holds the other, however their lines end. */
export function overlap(text: string, other: string): boolean {
  const read = (content: string) => content.replaceAll('\r\n', '\n').trim();
  return read(text).includes(read(other)) || read(other).includes(read(text));
}

/** Warnings that come before anything is measured; empty where there is nothing to warn of. */
export function calibrationWarnings(calibration: Calibration, request: CalibratedRequest): string[] {
  return [...sameText(request), ...notMassive(calibration, request)];
}

function sameText({ text, calibrationText }: CalibratedRequest): string[] {
  if (!overlap(text, calibrationText)) return [];
  return ['The calibration text is part of the measured one: means and points are not held out, so figures flatter.'];
}

function notMassive({ massive, points, layer }: Calibration, { largest }: CalibratedRequest): string[] {
  if (massive || largest !== undefined) return [];
  const entries = points.length === 1 ? 'the largest entry' : `the ${points.length} largest entries`;
  return [
    `No entry is massive by definition in half of the calibration sequences; taken instead: ${entries} at layer ${layer}, where the ratio jumps most.`,
  ];
}

/** What a verdict depends on. */
export interface Circumstances {
  readonly calibration: Pick<Calibration, 'massive' | 'points'>;
  /** How many of the largest entries were asked for; undefined: those massive by definition. */
  readonly largest: number | undefined;
  /** True where the model has a prefix token and was run without. */
  readonly prefixLeftOut: boolean;
}

/** What a verdict about massive activations has to begin with where there are none, or none can be. */
export function caveat({ calibration: { massive, points }, largest, prefixLeftOut }: Circumstances): string {
  const prefix = prefixLeftOut ? 'The model’s prefix token was left out, where massive activations mostly are. ' : '';
  if (massive || largest !== undefined) return prefix;
  const taken =
    points.length === 1 ? 'the largest entry was taken, which is' : 'the largest entries were taken, which are';
  return `${prefix}Nothing is massive by definition here, so ${taken} not massive. `;
}

/** Where an effect does not appear: a model without its prefix token is not the model as it was trained. */
export function effectAbsent({ prefixLeftOut }: Pick<Circumstances, 'prefixLeftOut'>): string {
  return `the effect of the paper does not appear in this model${prefixLeftOut ? ' without its prefix token' : ''}`;
}
