/** The intervention experiment of Sun et al. (arXiv:2402.17762): what massive activations are for. */
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Intervention, Setting } from '../../engine/contract/interventions.js';
import type { Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Budget } from '../before/experiment.js';
import { type Calibration, calibrate, type Position } from '../shared/calibrate.js';
import { type TextWindows, textWindows } from '../shared/text.js';
import { checkScores, type Place, type Row, type Step, scored } from '../shared/variants.js';
import type { Windowing } from '../shared/windows.js';

/** A text to measure on, and one that points and means are estimated on. */
export interface CalibratedRequest extends Windowing, Budget {
  readonly model: string;
  readonly text: string;
  readonly calibration: string;
  /** False: without the model's prefix token. */
  readonly bos?: boolean;
  readonly thresholds: Thresholds;
  /** Of random choices. */
  readonly seed: number;
}

export interface InterventionsRequest extends CalibratedRequest {
  /** Take so many of the largest entries instead of those that are massive by definition. */
  readonly largest?: number;
}

export interface InterventionsResult {
  readonly model: string;
  readonly windows: TextWindows;
  readonly calibration: Calibration;
  /** How many of the largest entries were asked for; undefined: those massive by definition. */
  readonly largest: number | undefined;
  /** True where the model has a prefix token and was run without. */
  readonly prefixLeftOut: boolean;
  readonly thresholds: Thresholds;
  readonly seed: number;
  /** `as is`, `zero`, `mean`, `zero everywhere`, `random`, `median`. */
  readonly rows: readonly Row[];
  /** In words, what the figures have to be read with. */
  readonly warnings: readonly string[];
}

/**
 * Perplexity with the massive entries as they are, set to zero and to their mean where they begin, set to zero at
 * every layer, and with as many random and median-sized entries set to zero.
 *
 * @throws SinkscopeError where texts, model or window do not fit; `cancelled` when `signal` is aborted
 */
export async function* interventions(
  engine: Engine,
  request: InterventionsRequest,
  signal?: AbortSignal,
): AsyncGenerator<Step<InterventionsResult>, void, void> {
  const { model, thresholds, seed, largest } = request;
  const windows = await textWindows(engine, model, request.text, request, signal);
  await checkScores(engine, request, windows, signal);
  const prefixLeftOut = await leavesOutPrefix(engine, request, signal);
  const known = yield* calibration(engine, request, signal);
  const variants = (place: Place) => variantsOf(known, place);
  const positions = known.points.map(({ token }) => token);
  const warnings = [...sameText(request), ...notMassive(known, request)];
  for await (const step of scored(engine, request, windows, variants, positions, signal)) {
    const { result: rows } = step;
    const facts = { model, windows, calibration: known, largest, prefixLeftOut, thresholds, seed };
    yield { ...step, result: rows && { ...facts, rows, warnings } };
  }
}

/** Whether the model's own prefix token is left out by request. */
export async function leavesOutPrefix(
  engine: Engine,
  { model, text, bos }: Pick<CalibratedRequest, 'model' | 'text' | 'bos'>,
  signal?: AbortSignal,
): Promise<boolean> {
  return bos === false && (await engine.encode(model, text, { signal })).prefix !== undefined;
}

/** {@link calibrate} on the windows of the calibration text, each token in one of them; returns what it finds. */
export async function* calibration(
  engine: Engine,
  request: InterventionsRequest,
  signal?: AbortSignal,
): AsyncGenerator<Step<never>, Calibration, void> {
  const { model, calibration: text } = request;
  const windowing = { ...request, stride: undefined, called: 'The calibration text' };
  const windows = await textWindows(engine, model, text, windowing, signal);
  let found: Calibration | undefined;
  for await (const { done, of, calibration } of calibrate(engine, { ...request, windows }, signal)) {
    found = calibration;
    yield { phase: 'calibrating', done, of };
  }
  if (!found) throw new Error('the calibration has no end');
  return found;
}

function variantsOf({ layer, layers, points, random, median }: Calibration, place: Place): Variant[] {
  const zero = { to: 'zero' } as const;
  const every = Array.from({ length: layers }, (_, i) => i + 1);
  const changed = (entries: readonly Entry[], set: (entry: Entry) => Setting, blocks = [layer]) =>
    blocks.flatMap((block) => entries.flatMap((entry) => changeOf(entry, block, set(entry), place)));
  return [
    { name: 'as is', interventions: [] },
    { name: 'zero', interventions: changed(points, () => zero) },
    { name: 'mean', interventions: changed(points, ({ mean = 0 }) => ({ to: 'value', value: mean })) },
    { name: 'zero everywhere', interventions: changed(points, () => zero, every) },
    { name: 'random', interventions: changed(random, () => zero) },
    { name: 'median', interventions: changed(median, () => zero) },
  ];
}

interface Entry {
  readonly token: Position;
  readonly dim: number;
  readonly mean?: number;
}

/** Nothing in a sequence that has no such token. */
function changeOf({ token, dim }: Entry, block: number, set: Setting, place: Place): Intervention[] {
  const at = place(token);
  return at === undefined ? [] : [{ point: 'resid_post', block, tokens: [at], dims: [dim], set }];
}

/** Whether one text holds the other, however their lines end. */
export function overlap(text: string, calibration: string): boolean {
  const [one, other] = [text, calibration].map((content) => content.replaceAll('\r\n', '\n').trim());
  return one.includes(other) || other.includes(one);
}

export function sameText({ text, calibration }: Pick<CalibratedRequest, 'text' | 'calibration'>): string[] {
  if (!overlap(text, calibration)) return [];
  return ['The calibration text is part of the measured one: means and points are not held out, so figures flatter.'];
}

export function notMassive({ massive, points, layer }: Calibration, { largest }: InterventionsRequest): string[] {
  if (massive || largest !== undefined) return [];
  const entries = points.length === 1 ? 'the largest entry' : `the ${points.length} largest entries`;
  return [
    `No entry is massive by definition in half of the calibration sequences; taken instead: ${entries} at layer ${layer}, where the ratio jumps most.`,
  ];
}

/** What a verdict about massive activations has to begin with where there are none, or none can be. */
export function caveat({
  calibration: { massive, points },
  largest,
  prefixLeftOut,
}: Pick<InterventionsResult, 'calibration' | 'largest' | 'prefixLeftOut'>): string {
  const prefix = prefixLeftOut ? 'The model’s prefix token was left out, where massive activations mostly are. ' : '';
  if (massive || largest !== undefined) return prefix;
  const taken =
    points.length === 1 ? 'the largest entry was taken, which is' : 'the largest entries were taken, which are';
  return `${prefix}Nothing is massive by definition here, so ${taken} not massive. `;
}

/** Where an effect does not appear: a model without its prefix token is not the model as it was trained. */
export function absent({ prefixLeftOut }: Pick<InterventionsResult, 'prefixLeftOut'>): string {
  return `the effect of the paper does not appear in this model${prefixLeftOut ? ' without its prefix token' : ''}`;
}

/** What the rows say, in a sentence; that the effect does not appear, where it does not. */
export function conclusion(result: InterventionsResult): string {
  const { rows, calibration } = result;
  const of = (name: string) => rows.find((row) => row.name === name)?.perplexity ?? Number.NaN;
  const times = (name: string) => of(name) / of('as is');
  const percent = (name: string) => `${(100 * (times(name) - 1)).toFixed(2).replace('-', '−')} %`;
  const count = calibration.points.length;
  const entries = calibration.massive
    ? `${count === 1 ? 'one entry' : `${count} entries`}`
    : `the ${count === 1 ? '' : `${count} `}largest ${count === 1 ? 'entry' : 'entries'}`;
  const zeroed = `${caveat(result)}Setting ${entries} of h_${calibration.layer} to zero`;
  if (Math.abs(times('zero') - 1) < 0.05) {
    return `${zeroed} changes perplexity by ${percent('zero')} only: ${absent(result)}.`;
  }
  const control = `as many random entries by ${percent('random')}`;
  const restored = Math.abs(times('mean') - 1) < 0.01;
  return [
    `${zeroed} multiplies perplexity by ${times('zero').toPrecision(3)}, `,
    `to the mean changes it by ${percent('mean')}, ${control}: `,
    restored
      ? 'the model needs these values, but not their variation: they are a constant bias.'
      : 'the mean does not stand in for these values, so they are more than a constant bias.',
  ].join('');
}
