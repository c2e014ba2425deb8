/** Hidden states of many sequences, reduced beside the tensors: for surveys, calibration and quantisation. */
import { SinkscopeError } from '../../errors.js';
import { hiddenStatistics } from '../../statistics/hidden.js';
import { countAbove, int8Errors, nearest, stateDifference } from '../../statistics/int8.js';
import type { HiddenStatistics } from '../../statistics/statistics.js';
import { checkIds } from '../../tokens/tokenizer.js';
import type { MeanEvent, Place, ReducedState, StatesEvent, StatesRequest } from '../contract/states.js';
import { makeFeeds } from '../inputs/feeds.js';
import type { LoadedModel } from '../stages/loaded.js';
import { blockBytes } from '../stages/memory.js';
import { valueAt } from '../stages/patched.js';
import { group, makePlan } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { floats, rowsOf, sliceRows, type Value } from '../tensors/value.js';

/** How many of the entries that are nearest to the median are given. */
const middleCount = 16;

type Emit = (event: StatesEvent | MeanEvent) => Promise<void>;

/** By sequence and place: the states of a reference. */
export type Recorded = readonly (readonly Float32Array[])[];

/**
 * Runs every sequence and emits its reduced states, then the means.
 *
 * @throws SinkscopeError `input` for an id out of range, a place that is not there or sequences of several lengths
 *   where a mean is asked for; `too-long` above the context or where the means do not fit the memory
 */
export async function reduceStates(
  loaded: LoadedModel,
  runner: StageRunner,
  request: StatesRequest,
  reference: Recorded | undefined,
  emit: Emit,
): Promise<void> {
  const { costs, mean, sequences } = request;
  const places = placesOf(loaded, request);
  const sums: Float64Array[] = [];
  let shape = { tokens: 0, dims: 0 };
  for (const [sequence, ids] of sequences.entries()) {
    const states: ReducedState[] = [];
    await forward(loaded, runner, request, ids, (place, values, tokens, dims) => {
      const at = states.length;
      const statistics = hiddenStatistics(values, tokens, dims);
      const before = reference?.[sequence]?.[at];
      states.push({
        ...statistics,
        ...place,
        ...(costs && {
          costs: {
            int8: int8Errors(values, tokens, dims, limitOf(statistics, costs.removed)),
            outliers: countAbove(values, dims, costs.outlier),
          },
        }),
        ...(before && { difference: differenceOf(before, values, tokens, dims, costs?.removed) }),
      });
      if (!mean) return;
      if (sequence === 0) {
        const bytes = 8 * places.length * values.length;
        if (bytes > request.memory) throw tooLarge(bytes, request.memory);
      }
      sums[at] ??= new Float64Array(values.length);
      const sum = sums[at];
      if (sum.length !== values.length) {
        throw new SinkscopeError({ code: 'input', message: 'A mean needs sequences of one length.' });
      }
      for (let i = 0; i < values.length; i++) sum[i] = sum[i] + values[i];
      shape = { tokens, dims };
    });
    await emit({ type: 'states', sequence, states });
  }
  for (const [i, place] of places.entries()) {
    const sum = sums[i];
    if (!sum || !mean) continue;
    const values = Float32Array.from(sum, (total) => total / sequences.length);
    // Sums of different places may be of different widths.
    const dims = sum.length / shape.tokens;
    const statistics = hiddenStatistics(values, shape.tokens, dims);
    const middle = nearest(values, statistics.median, middleCount).map((at) => ({
      value: values[at],
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
export async function recordStates(
  loaded: LoadedModel,
  runner: StageRunner,
  request: StatesRequest,
): Promise<Recorded> {
  const recorded: Float32Array[][] = [];
  let bytes = 0;
  for (const ids of request.sequences) {
    const states: Float32Array[] = [];
    await forward(loaded, runner, request, ids, (_, values) => {
      bytes += values.byteLength;
      if (bytes > request.memory) throw tooLarge(bytes, request.memory);
      states.push(values.slice());
    });
    recorded.push(states);
  }
  return recorded;
}

/** Runs one sequence and hands over each place's activation [tokens, dims], in the order of places. */
async function forward(
  loaded: LoadedModel,
  runner: StageRunner,
  request: StatesRequest,
  ids: readonly number[],
  visit: (place: Place, values: Float32Array, tokens: number, dims: number) => void,
): Promise<void> {
  const { anatomy, model, summary } = loaded;
  checkIds(ids, summary.vocabulary);
  if (summary.context !== undefined && ids.length > summary.context) {
    throw new SinkscopeError({
      code: 'too-long',
      message: `A sequence of ${ids.length} tokens is longer than the model's context of ${summary.context}; choose a shorter one.`,
      limit: { tokens: ids.length, context: summary.context },
    });
  }
  const places = placesOf(loaded, request);
  const names = places.map(({ point, block }) => valueAt(anatomy, point, block));
  const taps = new Map<number, string[]>();
  for (const [i, { block }] of places.entries()) taps.set(block, [...(taps.get(block) ?? []), names[i]]);
  const plan = makePlan(model.graph, anatomy, taps, []);
  const keep = 2 * summary.bytes + blockBytes(anatomy, ids.length) <= request.memory;
  const last = Math.max(...places.map(({ block }) => block));
  const stages = group(
    plan.stages.filter((stage) => stage.first <= last),
    keep ? blocksTogether : 1,
    anatomy.layers,
  );
  const values = new Map<string, Value>(makeFeeds(anatomy.inputs, new Map(), ids).values);
  let next = 0;
  for (const [i, stage] of stages.entries()) {
    for (const [name, value] of await runner.run(stage, values, keep)) values.set(name, value);
    for (let value = values.get(names[next] ?? ''); value; value = values.get(names[next] ?? '')) {
      const { dims } = rowsOf(value);
      visit(places[next], floats(sliceRows(value, 0, ids.length)), ids.length, dims);
      next++;
    }
    const needed = new Set(stages.slice(i + 1).flatMap(({ inputs }) => inputs));
    for (const name of values.keys()) if (!needed.has(name)) values.delete(name);
  }
}

/** Blocks of one stage whose session is kept: few calls, and not all states at once. */
const blocksTogether = 4;

function placesOf({ anatomy }: LoadedModel, { places }: StatesRequest): readonly Place[] {
  return places ?? Array.from({ length: anatomy.layers + 1 }, (_, block) => ({ point: 'resid_post', block }));
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

function tooLarge(bytes: number, memory: number): SinkscopeError {
  const megabytes = (count: number) => Math.ceil(count / 2 ** 20);
  return new SinkscopeError({
    code: 'too-long',
    message: `The hidden states of these sequences take ${megabytes(bytes)} MB, more than the ${megabytes(memory)} MB that may be held; choose shorter or fewer ones, or allow more memory.`,
  });
}
