/** Scoring of sequences under variants: what is asked and what is said. */
import type { AttentionWindow } from './answers.js';
import type { Intervention } from './interventions.js';

export interface Sequence {
  readonly ids: readonly number[];
  /** The tokens from this index on are scored, each by what comes before it; at least 1. */
  readonly from: number;
}

/** A way to run every sequence. */
export interface Variant {
  readonly name: string;
  readonly interventions: readonly Intervention[];
  /** Every block attends through this window; undefined: as the model does. */
  readonly attention?: AttentionWindow;
}

export interface MeasureRequest {
  readonly model: string;
  readonly sequences: readonly Sequence[];
  readonly variants: readonly Variant[];
  readonly memory: number;
  readonly threads: number;
}

export interface MeasuredEvent {
  readonly type: 'measured';
  /** Index of the sequence and of the variant. */
  readonly sequence: number;
  readonly variant: number;
  /** −ln p of each scored token. */
  readonly losses: Float32Array;
}
