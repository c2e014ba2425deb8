/** Hidden states of many sequences, reduced beside the tensors: for surveys, calibration and quantisation. */
import { SinkscopeError } from '../../errors.js';
import { hiddenStatistics } from '../../statistics/hidden.js';
import { countAbove, int8Errors, nearest, stateDifference } from '../../statistics/int8.js';
import { greatest } from '../../statistics/numbers.js';
import type { HiddenStatistics } from '../../statistics/statistics.js';
import type { ProgressEvent } from '../contract/measure.js';
import type { MeanEvent, Place, ReducedState, StatesEvent, StatesRequest } from '../contract/states.js';
import { makeFeeds } from '../inputs/feeds.js';
import { forward, statesHeld } from '../stages/forward.js';
import type { LoadedModel } from '../stages/loaded.js';
import { checkStates, chooseDial, reducedBytes, stateBytes } from '../stages/memory.js';
import { valueAt } from '../stages/patched.js';
import { group, makePlan } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { floats, rowsOf, sliceRows } from '../tensors/value.js';
import { progressOf } from './progress.js';
import { checkSequences } from './sequences.js';

/** How many of the entries that are nearest to the median are given. */
const middleCount = 16;

type Emit = (event: StatesEvent | MeanEvent | ProgressEvent) => Promise<void>;

/** By sequence and place: the states of a reference. */
export type Recorded = readonly (readonly Float32Array[])[];

/**
 * Runs every sequence and emits its reduced states, then the means.
 *
 * @throws SinkscopeError `input` for an id out of range, a place that is not there or sequences of several lengths
 *   where a mean is asked for; `too-long` above the context or where the means do not fit the memory
 */
export async function reduceStates(
  runner: StageRunner,
  request: StatesRequest,
  reference: Recorded | undefined,
  emit: Emit,
): Promise<void> {
  const { costs, mean, sequences } = request;
  const places = placesOf(runner.loaded, request);
  const sums: Float64Array[] = [];
  if (mean && new Set(sequences.map(({ length }) => length)).size > 1) {
    throw new SinkscopeError({ code: 'input', message: 'A mean needs sequences of one length.' });
  }
  const states = sequences.map((): ReducedState[] => []);
  const reached = sequences.map(() => 0);
  const held = (reference ?? []).flat().reduce((sum, { byteLength }) => sum + byteLength, 0);
  for await (const visit of visits(runner, request, held)) {
    if (visit.type === 'progress') {
      await emit(visit);
      continue;
    }
    const { sequence, at, place, values, tokens, dims } = visit;
    const found = states[sequence] ?? [];
    const statistics = hiddenStatistics(values, tokens, dims);
    const before = reference?.[sequence]?.[at];
    found[at] = {
      ...statistics,
      ...place,
      ...(costs && {
        costs: {
          int8: int8Errors(values, tokens, dims, limitOf(statistics, costs.removed)),
          outliers: countAbove(values, dims, costs.outlier),
        },
      }),
      ...(before && { difference: differenceOf(before, values, tokens, dims, costs?.removed) }),
    };
    if (mean) {
      checkStates(8 * places.length * values.length, request.memory);
      add(sums, at, values);
    }
    const count = (reached[sequence] ?? 0) + 1;
    reached[sequence] = count;
    if (count < places.length) continue;
    states[sequence] = [];
    await emit({ type: 'states', sequence, states: found });
  }
  if (!mean) return;
  const tokens = (sequences[0]?.length ?? 0) - (request.skip ?? 0);
  for (const [i, place] of places.entries()) {
    const values = Float32Array.from(sums[i] ?? [], (total) => total / sequences.length);
    // Sums of different places may be of different widths.
    const dims = values.length / tokens;
    const statistics = hiddenStatistics(values, tokens, dims);
    const middle = nearest(values, statistics.median, middleCount).map((at) => ({
      value: values[at] ?? Number.NaN,
      token: Math.floor(at / dims),
      dim: at % dims,
    }));
    const rows = mean.rows.map((token) => values.slice(token * dims, (token + 1) * dims));
    await emit({ ...place, type: 'mean', statistics, middle, rows });
  }
}

/**
 * The states themselves, to compare others with.
 *
 * @throws SinkscopeError as {@link reduceStates}, and `too-long` where they do not fit the memory
 */
export async function recordStates(runner: StageRunner, request: StatesRequest): Promise<Recorded> {
  const recorded = request.sequences.map((): Float32Array[] => []);
  let bytes = 0;
  for await (const visit of visits(runner, request, 0)) {
    if (visit.type === 'progress') continue;
    bytes += visit.values.byteLength;
    checkStates(bytes, request.memory);
    const states = recorded[visit.sequence];
    if (states) states[visit.at] = visit.values.slice();
  }
  return recorded;
}

/** The activation of one sequence at one place. */
interface Visit {
  readonly type: 'visit';
  readonly sequence: number;
  /** Index of the place among those asked for. */
  readonly at: number;
  readonly place: Place;
  /** [tokens, dims] */
  readonly values: Float32Array;
  readonly tokens: number;
  readonly dims: number;
}

/**
 * Runs all sequences, as many together as there is room for, and visits their activations: those of one sequence in
 * the order in which the model computes them.
 *
 * @param other bytes that are held beside
 */
async function* visits(
  runner: StageRunner,
  request: StatesRequest,
  other: number,
): AsyncGenerator<Visit | ProgressEvent, void, void> {
  const { loaded } = runner;
  const { anatomy, model, summary } = loaded;
  const { sequences, mean, skip = 0 } = request;
  checkSequences(loaded, sequences, 'A sequence');
  if (sequences.some(({ length }) => length <= skip)) {
    throw new SinkscopeError({
      code: 'input',
      message: `A sequence of at most ${skip} tokens has none left to look at; give longer ones.`,
    });
  }
  const longest = greatest(sequences.map(({ length }) => length));
  const places = placesOf(loaded, request);
  const names = places.map(({ point, block }) => valueAt(loaded, point, block));
  const taps = new Map<number, string[]>();
  for (const [i, { block }] of places.entries()) taps.set(block, [...(taps.get(block) ?? []), names[i] ?? '']);
  const plan = makePlan(model.graph, anatomy, taps, []);
  const last = greatest(places.map(({ block }) => block));
  const single = plan.stages.filter(({ first }) => first <= last);
  const hidden = stateBytes(anatomy, longest);
  const dial = chooseDial({
    anatomy,
    weightBytes: summary.bytes,
    tokens: longest,
    // Sums are in double precision.
    memory: request.memory - other - (mean ? 2 * hidden * places.length : 0),
    again: true,
    held: hidden * statesHeld(plan, single) + places.length * reducedBytes(anatomy, longest),
  });
  const course = { plan, stages: group(single, dial.blocksPerStage, anatomy.layers), keep: dial.keep };
  for (let from = 0; from < sequences.length; from += dial.sequences) {
    const lanes = sequences.slice(from, from + dial.sequences).map((ids, i) => ({
      values: new Map(makeFeeds(anatomy.inputs, new Map(), ids).values),
      interventions: [],
      sequence: from + i,
      tokens: ids.length,
      open: new Set(places.keys()),
    }));
    const report = progressOf(anatomy, dial, from, from + lanes.length);
    for await (const { stage, lane } of forward(runner, course, lanes)) {
      yield* report(stage);
      const { sequence, tokens, open } = lane;
      for (const [at, place] of places.entries()) {
        const value = open.has(at) ? lane.values.get(names[at] ?? '') : undefined;
        if (!value) continue;
        open.delete(at);
        const values = floats(sliceRows(value, skip, tokens));
        yield { type: 'visit', sequence, at, place, values, tokens: tokens - skip, dims: rowsOf(value).dims };
      }
    }
  }
}

function placesOf({ anatomy }: LoadedModel, { places }: StatesRequest): readonly Place[] {
  return places ?? Array.from({ length: anatomy.layers + 1 }, (_, block) => ({ point: 'resid_post', block }));
}

/** Adds a state to the sum of its place. */
function add(sums: Float64Array[], at: number, values: Float32Array): void {
  sums[at] ??= new Float64Array(values.length);
  const sum = sums[at];
  for (let i = 0; i < values.length; i++) sum[i] = (sum[i] ?? 0) + (values[i] ?? 0);
}

/** The magnitude from which entries stand out; a median of 0 gives no scale. */
function limitOf({ median }: HiddenStatistics, times: number): number {
  return median > 0 ? times * median : Number.POSITIVE_INFINITY;
}

/** Entries stand out by what they are in the reference. */
function differenceOf(reference: Float32Array, values: Float32Array, tokens: number, dims: number, times = 100) {
  if (reference.length !== values.length) {
    throw new SinkscopeError({
      code: 'input',
      message: 'The two models have hidden states of different sizes; compare a model with its own quantised file.',
    });
  }
  return stateDifference(reference, values, limitOf(hiddenStatistics(reference, tokens, dims), times));
}
