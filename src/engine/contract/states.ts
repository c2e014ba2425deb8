/** Hidden states of many sequences, reduced: what is asked and what is said. */
import type { Entry, HiddenStatistics, Int8Errors, StateDifference } from '../../statistics/statistics.js';
import type { Point } from './interventions.js';

/** An activation of a block; see {@link Point}. */
export interface Place {
  readonly point: Point;
  readonly block: number;
}

export interface StatesRequest {
  readonly model: string;
  /** Token ids, prefix included. */
  readonly sequences: readonly (readonly number[])[];
  /** The activations that are reduced; undefined: h_0 … h_L. */
  readonly places?: readonly Place[];
  /**
   * What they cost in int8: entries of at least `removed` × the median are those that stand out, and `outlier` is the
   * magnitude from which an entry counts towards an outlier feature.
   */
  readonly costs?: { readonly removed: number; readonly outlier: number };
  /** Reduce the mean over all sequences too, which are of one length then; of `rows`, all entries of these tokens. */
  readonly mean?: { readonly rows: readonly number[] };
  /** A model whose states of the same sequences these are compared with; needs `costs`. */
  readonly reference?: string;
  readonly memory: number;
  readonly threads: number;
}

export interface ReducedState extends HiddenStatistics, Place {
  /** Where `costs` were asked for. */
  readonly costs?: {
    readonly int8: Int8Errors;
    /** By dim, how many tokens reach `outlier`. */
    readonly outliers: Int32Array;
  };
  /** Where there is a `reference`. */
  readonly difference?: StateDifference;
}

export interface StatesEvent {
  readonly type: 'states';
  readonly sequence: number;
  /** In the order of places. */
  readonly states: readonly ReducedState[];
}

/** The mean over all sequences at one place. */
export interface MeanEvent extends Place {
  readonly type: 'mean';
  readonly statistics: HiddenStatistics;
  /** The 16 entries whose |mean| is nearest to the median, nearest first. */
  readonly middle: readonly Entry[];
  /** [D] of each token asked for. */
  readonly rows: readonly Float32Array[];
}
