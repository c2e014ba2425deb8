/** The intervention experiment of Sun et al. (arXiv:2402.17762): what massive activations are for. */
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Intervention, Setting } from '../../engine/contract/interventions.js';
import type { Variant } from '../../engine/contract/measure.js';
import type { Engine } from '../../engine/host/engine.js';
import type { Run } from '../experiment.js';
import { type CalibratedRequest, type Calibration, calibrate, type Position } from '../shared/calibrate.js';
import { type Circumstances, calibrationWarnings, caveat, effectAbsent, leavesOutPrefix } from '../shared/caveats.js';
import { type TextWindows, textWindows } from '../shared/text.js';
import { checkScores, type Place, type Row, score } from '../shared/variants.js';

export interface InterventionsResult extends Circumstances {
  readonly model: string;
  readonly windows: TextWindows;
  readonly calibration: Calibration;
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
export async function* interveneOnMassive(
  engine: Engine,
  request: CalibratedRequest,
  signal?: AbortSignal,
): Run<InterventionsResult> {
  const { model, thresholds, seed, largest } = request;
  const windows = await textWindows(engine, model, request.text, request, signal);
  await checkScores(engine, request, windows, signal);
  const prefixLeftOut = await leavesOutPrefix(engine, request, signal);
  const calibration = yield* calibrate(engine, { ...request, window: windows.window }, signal);
  const variants = (place: Place) => variantsOf(calibration, place);
  const positions = calibration.points.map(({ token }) => token);
  const rows = yield* score(engine, request, windows, variants, positions, signal);
  const warnings = calibrationWarnings(calibration, request);
  return { model, windows, calibration, largest, prefixLeftOut, thresholds, seed, rows, warnings };
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

/** What the rows say, in a sentence; that the effect does not appear, where it does not. */
export function interventionsConclusion(result: InterventionsResult): string {
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
    return `${zeroed} changes perplexity by ${percent('zero')} only: ${effectAbsent(result)}.`;
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
