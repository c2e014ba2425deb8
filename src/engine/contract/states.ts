/** Hidden states of many sequences, reduced: what is asked and what is said. */
import * as v from 'valibot';
import { exactly, float32Array, int32Array, real, type Sent, whole } from '../../schemas.js';
import type { Int8Errors, StateDifference } from '../../statistics/statistics.js';
import { entry, hiddenEntries, hiddenState, isWhole, notWhole } from './events.js';
import { point } from './interventions.js';
import { memory, path, stream, threads } from './request.js';

const place = v.object({ point, block: whole });
/** An activation of a block. */
export type Place = Sent<typeof place>;

const times = v.pipe(v.number(), v.minValue(0));
export const statesRequest = v.object({
  model: path,
  stream,
  /** Token ids, prefix included. */
  sequences: v.pipe(v.array(v.pipe(v.array(whole), v.minLength(1))), v.minLength(1)),
  /** The activations that are reduced; undefined: h_0 … h_L. */
  places: v.optional(v.pipe(v.array(place), v.minLength(1))),
  /**
   * What they cost in int8: entries of at least `removed` × the median are those that stand out, and `outlier` is the
   * magnitude from which an entry counts towards an outlier feature.
   */
  costs: v.optional(v.object({ removed: times, outlier: times })),
  /** Reduce the mean over all sequences too, which are of one length then; of `rows`, all entries of these tokens. */
  mean: v.optional(v.object({ rows: v.array(whole) })),
  /** So many first tokens of each sequence are run and not looked at. */
  skip: v.optional(whole),
  /** A model whose states of the same sequences these are compared with; needs `costs`. */
  reference: v.optional(path),
  memory,
  threads,
});
export type StatesRequest = Sent<typeof statesRequest>;

const int8Error = v.object({ tensor: real, token: real, channel: real });
const int8Errors = exactly<Int8Errors>()(v.object({ removed: whole, with: int8Error, without: int8Error }));
const difference = exactly<StateDifference>()(v.object({ all: real, rest: real }));

const reducedState = v.pipe(
  v.object({
    ...hiddenEntries,
    ...place.entries,
    /** Where `costs` were asked for. */
    costs: v.optional(
      v.object({
        int8: int8Errors,
        /** By dim, how many tokens reach `outlier`. */
        outliers: int32Array,
      }),
    ),
    /** Where there is a `reference`. */
    difference: v.optional(difference),
  }),
  v.check((state) => isWhole(state), notWhole),
);
export type ReducedState = Sent<typeof reducedState>;

export const statesEvent = v.object({
  type: v.literal('states'),
  sequence: whole,
  /** In the order of places. */
  states: v.array(reducedState),
});
export type StatesEvent = Sent<typeof statesEvent>;

export const meanEvent = v.object({
  type: v.literal('mean'),
  ...place.entries,
  statistics: hiddenState,
  /** The 16 entries whose |mean| is nearest to the median, nearest first. */
  middle: v.array(entry),
  /** [D] of each token asked for. */
  rows: v.array(float32Array),
});
/** The mean over all sequences at one place. */
export type MeanEvent = Sent<typeof meanEvent>;
