/**
 * A model and a file made from it, block by block beside each other. Between two blocks either is given what the other
 * has, so that each block is seen by itself: the file's on the model's own states, one of the file's among the model's,
 * one of the model's among the file's.
 */
import { SinkscopeError } from '../../errors.js';
import { greatest, sum } from '../../statistics/numbers.js';
import type { ProgressEvent, Sequence } from '../contract/measure.js';
import { type ComparedEvent, farther, type PairedEvent, type PairRequest } from '../contract/pair.js';
import { makeFeeds } from '../inputs/feeds.js';
import { createDivergenceSession, type DivergenceSession } from '../stages/divergence.js';
import { type Journey, type Lane, setOut } from '../stages/forward.js';
import { holdsHeads, stateBytes } from '../stages/memory.js';
import type { Stage } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { floats, rowsOf, sliceRows, type Value } from '../tensors/value.js';
import { checkScored } from './measure.js';
import { progressOf } from './progress.js';
import {
  checkAlike,
  handedOver,
  type Side,
  type Sided,
  scoredParts,
  sequencesInStep,
  sides,
  statesOf,
  type Track,
  trackOf,
} from './tracks.js';

/** A lane, and its hidden state after the stage that was last, if it went through that. */
interface Walked extends Lane {
  state?: Value | undefined;
}

/** What is looked at beside the two as they are. */
type Asked = Required<Pick<PairRequest, 'parts' | 'alone'>>;

/** What goes through one of the two for one sequence. A lane that would be given what `plain` has is that one. */
interface Lanes {
  /** As it is. */
  readonly plain: Walked;
  /** The next block alone, which is given the other's hidden state. */
  fed: Walked;
  /** By block k from the embedding on: what the other's block k made of this one's h_(k-1), from there to the end. */
  readonly exchanged: Walked[];
}

interface Pair {
  readonly sequence: Sequence;
  /** Which of all it is. */
  readonly index: number;
  readonly lanes: Sided<Lanes>;
}

/** Sums of squares at a residual point. */
type Apart = Pick<ComparedEvent, 'signal' | 'cumulative' | 'local' | 'farthest'>;

/**
 * Runs every sequence through both, and says how far the file is from the model: block by block of those that go through
 * together, then sequence by sequence.
 *
 * @throws SinkscopeError `input` where one predicts no tokens, the two differ in blocks, width or vocabulary, or the
 *   reference's numbers are not finite; `too-long` where a sequence is longer than the context of either
 */
export async function comparePair(
  runners: Sided<StageRunner>,
  { sequences, parts = true, alone = false, memory, threads }: PairRequest,
  emit: (event: ComparedEvent | PairedEvent | ProgressEvent) => Promise<void>,
): Promise<void> {
  checkAlike(runners);
  for (const runner of Object.values(runners)) await checkScored(runner, sequences);
  const tokens = greatest(sequences.map(({ ids }) => ids.length));
  const tracks = { reference: trackOf(runners.reference, memory), model: trackOf(runners.model, memory) };
  const { anatomy } = runners.reference.loaded;
  const together = sequencesInStep(anatomy, tokens, memory, heldBytes(tracks, tokens, { parts, alone }));
  const dial = { keep: false, blocksPerStage: 1, sequences: together };
  const stay = holdsHeads(anatomy, 2, memory);
  const divergence = await createDivergenceSession(threads);
  try {
    for (let from = 0; from < sequences.length; from += together) {
      const pairs = sequences.slice(from, from + together).map((sequence, i) => pairOf(tracks, sequence, from + i));
      const report = progressOf(runners.reference.loaded.anatomy, dial, from, from + pairs.length);
      const passed = async (stage: Stage) => {
        for (const event of report(stage)) await emit(event);
      };
      for await (const event of walk(tracks, pairs, { parts, alone }, passed)) await emit(event);
      for (const [i, pair] of pairs.entries())
        await emit({
          type: 'paired',
          sequence: from + i,
          ...(await scoresOf(tracks, pair, { parts, alone }, divergence, stay)),
        });
      for (const runner of Object.values(runners)) await runner.release();
    }
  } finally {
    await divergence.release();
  }
}

/** Lanes share what is carried; each has a hidden state of its own. */
function heldBytes(tracks: Sided<Track>, tokens: number, { parts, alone }: Asked): number {
  const bytes = sides.map(([side]) => {
    const { anatomy } = tracks[side].runner.loaded;
    const exchanged = parts && (side === 'model' || alone) ? anatomy.layers + 1 : 0;
    return stateBytes(anatomy, tokens) * (statesOf(tracks[side]) + exchanged + Number(parts));
  });
  return sum(bytes);
}

function pairOf(tracks: Sided<Track>, sequence: Sequence, index: number): Pair {
  const lanesOf = ({ runner }: Track): Lanes => {
    const { inputs } = runner.loaded.anatomy;
    const plain: Walked = { values: new Map(makeFeeds(inputs, new Map(), sequence.ids).values), interventions: [] };
    return { plain, fed: plain, exchanged: [] };
  };
  return {
    sequence,
    index,
    lanes: { reference: lanesOf(tracks.reference), model: lanesOf(tracks.model) },
  };
}

/** Takes all through the blocks of both, in step, and says at each how far they are apart. */
async function* walk(
  tracks: Sided<Track>,
  pairs: readonly Pair[],
  { parts, alone }: Asked,
  passed: (stage: Stage) => Promise<void>,
): AsyncGenerator<ComparedEvent, void, void> {
  const under = {
    reference: pairs.map(({ lanes }) => lanes.reference.plain),
    model: pairs.map(({ lanes }) => lanes.model.plain),
  };
  const journeyOf = (side: Side): Journey<Walked> => {
    const { runner, plan, stages, head } = tracks[side];
    return setOut(runner, { plan, stages, keep: false, lasting: head.stage.inputs }, under[side]);
  };
  const journeys = { reference: journeyOf('reference'), model: journeyOf('model') };
  for (const block of tracks.reference.residuals.keys()) {
    for (const [side] of sides) {
      // Lanes that have arrived stay among the others, and theirs was seen.
      for (const lane of under[side]) lane.state = undefined;
      const { stages, residuals } = tracks[side];
      const stage = stages.find(({ last }) => last === block);
      if (!stage) throw new Error(`block ${block} has no stage`);
      for await (const { lane, results } of journeys[side].through(stage)) {
        lane.state = results.get(residuals[block] ?? '');
        if (side === 'reference') await passed(stage);
      }
    }
    if (!parts) continue;
    const apart = pairs.map((pair) => apartAt(tracks, pair, block));
    const total = (of: 'signal' | 'cumulative' | 'local') => sum(apart.map((one) => one[of]));
    const farthest = apart.map((one) => one.farthest).reduce(farther, undefined);
    yield {
      type: 'compared',
      block,
      signal: total('signal'),
      cumulative: total('cumulative'),
      local: total('local'),
      ...(farthest && { farthest }),
    };
    for (const pair of pairs) {
      const begun = exchange(tracks, pair, alone, block);
      for (const [side] of sides) for (const lane of begun[side]) under[side].push(lane);
    }
  }
  for (const [side] of sides) journeys[side].arrive();
}

function stateOf({ state }: Walked): Value {
  if (!state) throw new Error('no stage was run');
  return state;
}

/** What is between h_k of the two. */
function apartAt(tracks: Sided<Track>, { lanes, sequence, index }: Pair, block: number): Apart {
  const tokens = sequence.ids.length;
  const rows = (value: Value) => floats(sliceRows(value, 0, tokens));
  const [before, after] = [stateOf(lanes.reference.plain), stateOf(lanes.model.plain)];
  const dims = [before, after].map((value) => rowsOf(value).dims);
  const { file } = tracks.model.runner.loaded;
  if (dims[0] !== dims[1]) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `The hidden states of ${file} have ${dims[1]} dims, and the model’s ${dims[0]}; compare a model with a file made from it.`,
    });
  }
  const signal = rows(before);
  const squares = squaresOf(signal);
  if (!Number.isFinite(squares)) {
    const { file } = tracks.reference.runner.loaded;
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `h_${block} of ${file} has entries that are not finite (NaN or infinity), so nothing can be held against it: take the file in a wider format, as fp32, for the model.`,
    });
  }
  const fed = rows(stateOf(lanes.model.fed));
  const most = farthestOf(signal, fed);
  const width = signal.length / tokens;
  return {
    signal: squares,
    cumulative: distanceOf(signal, rows(after)),
    local: distanceOf(signal, fed),
    farthest: most && { sequence: index, token: Math.floor(most.at / width), dim: most.at % width, by: most.by },
  };
}

function squaresOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

function distanceOf(values: Float32Array, others: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += ((others[i] ?? Number.NaN) - (values[i] ?? Number.NaN)) ** 2;
  return sum;
}

/** The entry that differs most; what is no number does more than any. */
function farthestOf(values: Float32Array, others: Float32Array) {
  let [at, by] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const distance = Math.abs((others[i] ?? Number.NaN) - (values[i] ?? Number.NaN));
    if (!Number.isFinite(distance)) return { at: i, by: Number.POSITIVE_INFINITY };
    if (distance > by) [at, by] = [i, distance];
  }
  return by > 0 ? { at, by } : undefined;
}

/** Gives either of the two what the other has after `block`; returns the lanes that begin with it. */
function exchange(
  tracks: Sided<Track>,
  { lanes, sequence }: Pair,
  alone: boolean,
  block: number,
): Sided<readonly Walked[]> {
  const begin = (side: Side, { plain }: Lanes, other: Walked, until?: number): Walked => {
    const own = stateOf(plain);
    const given = handedOver(own, stateOf(other), sequence.ids.length);
    if (same(own, given)) return plain;
    const values = new Map([[tracks[side].residuals[block] ?? '', given]]);
    return { values, interventions: [], after: { lane: plain, block }, until };
  };
  const begun = (side: Side, other: Side) => ({
    exchanged: side === 'model' || alone ? begin(side, lanes[side], lanes[other].fed) : lanes[side].plain,
    fed: begin(side, lanes[side], lanes[other].plain, block + 1),
  });
  const all = { reference: begun('reference', 'model'), model: begun('model', 'reference') };
  const isLast = block + 1 === tracks.reference.residuals.length;
  for (const [side] of sides) {
    lanes[side].exchanged.push(all[side].exchanged);
    lanes[side].fed = isLast ? lanes[side].plain : all[side].fed;
  }
  const lanesOf = (side: Side) => [all[side].exchanged, lanes[side].fed].filter((lane) => lane !== lanes[side].plain);
  return { reference: lanesOf('reference'), model: lanesOf('model') };
}

function same({ data }: Value, { data: other }: Value): boolean {
  return data.every((value: number | bigint, i: number) => Object.is(value, other[i]));
}

type Scores = Omit<PairedEvent, 'type' | 'sequence'>;

/** What the heads make of all lanes, part after part of the sequence. */
async function scoresOf(
  tracks: Sided<Track>,
  pair: Pair,
  { parts, alone }: Asked,
  session: DivergenceSession,
  stay: boolean,
): Promise<Scores> {
  const { lanes, sequence } = pair;
  const { ids, from } = sequence;
  const count = ids.length - from;
  const { reference, model } = tracks;
  // What the other's head makes of the last hidden state.
  const headed = (side: Side, other: Side): ReadonlyMap<string, Value> => {
    const name = tracks[other].residuals.at(-1) ?? '';
    const state = handedOver(stateOf(lanes[other].plain), stateOf(lanes[side].plain), ids.length);
    return new Map([...lanes[other].plain.values, [name, state]]);
  };
  const exchanged = {
    alone: alone
      ? [
          ...lanes.reference.exchanged.map(({ values }) => ({ track: reference, values })),
          { track: model, values: headed('reference', 'model') },
        ]
      : [],
    restored: parts
      ? [
          ...lanes.model.exchanged.map(({ values }) => ({ track: model, values })),
          { track: reference, values: headed('model', 'reference') },
        ]
      : [],
  };
  const scores = {
    losses: { reference: new Float32Array(count), model: new Float32Array(count) },
    kld: new Float32Array(count),
    same: new Uint8Array(count),
    change: new Float32Array(count),
    swaps: exchanged.restored.map(() => ({ alone: alone ? 0 : undefined, restored: 0 })),
  };
  const ways = (['alone', 'restored'] as const)
    .flatMap((kind) => exchanged[kind].map((one, block) => ({ kind, block, ...one })))
    .filter(({ values }) => values !== lanes.reference.plain.values);
  for await (const part of scoredParts(tracks, sequence, lanes.reference.plain.values, session, stay)) {
    const { at } = part;
    const add = ({ kind, block }: (typeof ways)[number], kld: Float64Array) => {
      const swap = scores.swaps[block];
      if (swap) swap[kind] = (swap[kind] ?? 0) + sum(kld);
    };
    for (const way of ways.filter(({ track }) => track === reference)) add(way, (await part.divergenceOf(way)).kld);
    const plain = await part.divergenceOf({ track: model, values: lanes.model.plain.values });
    const { kld, same, probability } = plain;
    scores.kld.set(kld, at);
    scores.same.set(same.map(Number), at);
    scores.losses.reference.set(
      probability.reference.map((p) => -Math.log(p)),
      at,
    );
    scores.losses.model.set(
      probability.other.map((p) => -Math.log(p)),
      at,
    );
    scores.change.set(
      probability.other.map((p, i) => p - (probability.reference[i] ?? 0)),
      at,
    );
    for (const way of ways.filter(({ track }) => track === model))
      add(way, way.values === lanes.model.plain.values ? kld : (await part.divergenceOf(way)).kld);
  }
  return scores;
}
