/** Which entries of the residual stream are massive over many sequences of a text, where they begin, and their means. */
import { emptyAnalysis } from '../../analysis/analysis.js';
import { type MassiveActivation, massiveActivations, ratio } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { MeanEvent, ReducedState } from '../../engine/contract/states.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { greatest, mean } from '../../statistics/numbers.js';
import { uniform } from '../../statistics/random.js';
import type { Budget, Progress } from '../experiment.js';
import { firstDelimiters } from './delimiter.js';
import { follow, progressThrough, type TextWindows, textWindows } from './text.js';
import type { Windowing } from './windows.js';

/** A token of a sequence: its index, or the first delimiter wherever that is. */
export type Position = number | 'first delimiter';

/** An entry of h_`layer`, and its mean over the calibration sequences. */
export interface CalibratedPoint {
  readonly token: Position;
  readonly dim: number;
  readonly mean: number;
}

export interface Calibration {
  /** k of the h_k at which the points are set: where the strongest of them begins. */
  readonly layer: number;
  /** Strongest first. */
  readonly points: readonly CalibratedPoint[];
  /** False where no entry is massive in half of the sequences: the points are the largest where the ratio jumps. */
  readonly massive: boolean;
  /** As many other entries, drawn by the seed, and as many whose |mean| is nearest to the median. */
  readonly random: readonly { readonly token: number; readonly dim: number }[];
  readonly median: readonly { readonly token: number; readonly dim: number }[];
  readonly sequences: number;
  /** Tokens of each. */
  readonly window: number;
  /** L of the model. */
  readonly layers: number;
}

/** A text to measure on, and one that points and means are estimated on. */
export interface CalibratedRequest extends Windowing, Budget {
  readonly model: string;
  readonly text: string;
  readonly calibrationText: string;
  /** False: without the model's prefix token. */
  readonly bos?: boolean;
  readonly thresholds: Thresholds;
  /** Take so many of the largest entries instead of those that are massive by definition. */
  readonly largest?: number;
  /** Of random choices. */
  readonly seed: number;
}

/**
 * Finds the points of a model from the windows of the calibration text, each token in one of them.
 *
 * An entry is known by its dim and by the kind of its token: the first of the sequence, or the first delimiter
 * (arXiv:2402.17762), so that it is found again in texts whose first delimiter is elsewhere. It is a point where it is
 * massive in at least half of the sequences. Where none is, or where a number of `largest` is asked for, points are
 * the largest entries of the mean state at the layer k ≥ 1 whose ratio (largest |mean| ÷ median |mean|) grows most.
 *
 * @throws SinkscopeError where the model cannot be run, or the text fills no window
 */
export async function* calibrate(
  engine: Engine,
  request: CalibratedRequest,
  signal?: AbortSignal,
): AsyncGenerator<Progress, Calibration, void> {
  const { model, thresholds, memory, threads } = request;
  const windows = await calibrationWindows(engine, request, signal);
  const sequences = windows.sequences.map(({ ids }) => ids);
  const delimiters = await firstDelimiters(engine, model, sequences, signal);
  const sightings: Sighting[] = [];
  const means: MeanEvent[] = [];
  const states = engine.run('states', { model, sequences, mean: { rows: [0] }, memory, threads }, signal);
  const progress = progressThrough('calibrating', sequences.length);
  for await (const event of follow(states)) {
    if (event.type === 'mean') means.push(event);
    else yield progress(event);
    if (event.type === 'states')
      for (const one of sightingsOf(event.states, delimiters[event.sequence], thresholds)) sightings.push(one);
  }
  const found = request.largest === undefined ? massivePoints(sightings, means, sequences.length) : undefined;
  const { layer, points } = found ?? largestPoints(means, request.largest ?? 1);
  const { statistics, middle } = meanAt(means, layer);
  return {
    layer,
    points,
    massive: found !== undefined,
    random: randomEntries(points, statistics.tokens, statistics.dims, request.seed),
    median: middle.slice(0, points.length).map(({ token, dim }) => ({ token, dim })),
    sequences: sequences.length,
    window: statistics.tokens,
    layers: means.length - 1,
  };
}

/**
 * The sequences that points and means are found on.
 *
 * @throws SinkscopeError as {@link textWindows}
 */
export function calibrationWindows(
  engine: Engine,
  request: CalibratedRequest,
  signal?: AbortSignal,
): Promise<TextWindows> {
  const windowing = { ...request, stride: undefined, called: 'The calibration text' };
  return textWindows(engine, request.model, request.calibrationText, windowing, signal);
}

/** A massive activation of one sequence. */
interface Sighting extends MassiveActivation {
  readonly position: Position;
}

function sightingsOf(
  layers: readonly ReducedState[],
  delimiter: number | undefined,
  thresholds: Thresholds,
): Sighting[] {
  return massiveActivations({ ...emptyAnalysis, layers }, thresholds).flatMap((activation) => {
    const { kind, token } = activation;
    if (kind !== 'massive' || (token > 0 && token !== delimiter)) return [];
    return { ...activation, position: token === 0 ? 0 : 'first delimiter' };
  });
}

/** Undefined where nothing is massive in half of the sequences. */
function massivePoints(sightings: readonly Sighting[], means: readonly MeanEvent[], sequences: number) {
  const entries = new Map<string, Sighting[]>();
  for (const sighting of sightings) {
    const key = `${sighting.position} ${sighting.dim}`;
    entries.set(key, [...(entries.get(key) ?? []), sighting]);
  }
  const frequent = [...entries.values()]
    .filter((hits) => 2 * hits.length >= sequences)
    .sort((a, b) => mean(b.map(({ ratio }) => ratio)) - mean(a.map(({ ratio }) => ratio)));
  const [strongest] = frequent;
  if (!strongest) return undefined;
  const layer = mostFrequent(strongest.map(({ onset }) => onset));
  const [first] = meanAt(means, layer).rows;
  const points = frequent.flatMap((hits): CalibratedPoint[] => {
    const position = hits[0]?.position ?? 0;
    const dim = hits[0]?.dim ?? 0;
    const value = position === 0 ? first?.[dim] : mean(hits.flatMap(({ values }) => values[layer] ?? []));
    return value === undefined ? [] : [{ token: position, dim, mean: value }];
  });
  return { layer, points };
}

function largestPoints(means: readonly MeanEvent[], count: number) {
  if (count > (means[0]?.statistics.top.length ?? 0)) {
    throw new SinkscopeError({
      code: 'input',
      message: `At most ${means[0]?.statistics.top.length ?? 0} of the largest entries can be set; choose fewer.`,
    });
  }
  const ratios = means.map(({ statistics }) => ratio(statistics.top[0]?.value ?? 0, statistics));
  const jumps = ratios.map((now, layer) => (layer === 0 ? Number.NEGATIVE_INFINITY : now - (ratios[layer - 1] ?? 0)));
  const layer = jumps.indexOf(greatest(jumps));
  const points = meanAt(means, layer).statistics.top.slice(0, count);
  return { layer, points: points.map(({ token, dim, value }) => ({ token, dim, mean: value })) };
}

function meanAt(means: readonly MeanEvent[], layer: number): MeanEvent {
  const found = means[layer];
  if (!found) throw new Error(`there is no mean of layer ${layer}`);
  return found;
}

/** As many entries as there are points, none of them a point, each drawn once. */
function randomEntries(points: readonly CalibratedPoint[], tokens: number, dims: number, seed: number) {
  const random = uniform(seed);
  const taken = new Set(points.map(({ token, dim }) => `${token} ${dim}`));
  const drawn: { token: number; dim: number }[] = [];
  while (drawn.length < Math.min(points.length, tokens * dims - points.length)) {
    const token = Math.floor(random() * tokens);
    const dim = Math.floor(random() * dims);
    if (taken.has(`${token} ${dim}`)) continue;
    taken.add(`${token} ${dim}`);
    drawn.push({ token, dim });
  }
  return drawn;
}

function mostFrequent(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, next) => (next[1] > best[1] ? next : best))[0];
}
