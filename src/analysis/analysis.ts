/**
 * The state of one run as a pure fold of its events. Host, webview, CLI and tests all hold this and nothing else.
 */

import type { DeviceEvent } from '../engine/contract/device.js';
import type {
  FinishedEvent,
  OutputsEvent,
  PredictionsEvent,
  RoutingEvent,
  RunEvent,
  StartedEvent,
  TokensEvent,
} from '../engine/contract/events.js';
import type { Problem } from '../errors.js';
import type { CrossStatistics, HiddenStatistics, PatternStatistics } from '../statistics/statistics.js';

export interface Analysis {
  readonly status: 'empty' | 'running' | 'finished' | 'failed';
  readonly started?: StartedEvent;
  /** What it was computed on, one after another; empty: the CPU, as nothing else was asked for. */
  readonly devices: readonly DeviceEvent[];
  readonly tokens?: TokensEvent;
  /** `layers[k]` is about `h_k`; filled from 0 on. */
  readonly layers: readonly HiddenStatistics[];
  /** `attention[k - 1]` is about the block that leaves `h_k`; a hole where a block has no pattern. */
  readonly attention: readonly (PatternStatistics | undefined)[];
  /** Why the block that leaves `h_k` has none, at `k - 1`, where only a run could tell. */
  readonly leftOut: readonly (string | undefined)[];
  /** `attention` to other states than the stream's; empty in models without any. */
  readonly cross: readonly (CrossStatistics | undefined)[];
  /** `routing[k - 1]` of the block that leaves `h_k`; a hole where it has no experts or their routing is not known. */
  readonly routing: readonly (RoutingEvent['found'] | undefined)[];
  readonly predictions?: PredictionsEvent;
  /** In place of predictions, of a head that is no vocabulary's. */
  readonly outputs?: OutputsEvent;
  readonly finished?: FinishedEvent;
  readonly problem?: Problem;
}

export const emptyAnalysis: Analysis = {
  status: 'empty',
  devices: [],
  layers: [],
  attention: [],
  leftOut: [],
  cross: [],
  routing: [],
};

/** The state after `event`. A `started` event begins anew; a failed run keeps what had arrived. */
export function fold(analysis: Analysis, event: RunEvent): Analysis {
  switch (event.type) {
    case 'started':
      return { ...emptyAnalysis, status: 'running', started: event };
    case 'device':
      return { ...analysis, devices: [...analysis.devices, event] };
    case 'tokens':
      return { ...analysis, tokens: event };
    case 'layer':
      return { ...analysis, layers: placed(analysis.layers, event.layer, event.statistics) };
    case 'attention':
      return { ...analysis, attention: placed(analysis.attention, event.layer - 1, event.statistics) };
    case 'pattern-left-out':
      return { ...analysis, leftOut: placed(analysis.leftOut, event.layer - 1, event.why) };
    case 'cross-attention':
      return { ...analysis, cross: placed(analysis.cross, event.layer - 1, event.statistics) };
    case 'routing':
      return { ...analysis, routing: placed(analysis.routing, event.layer - 1, event.found) };
    case 'predictions':
      return { ...analysis, predictions: event };
    case 'outputs':
      return { ...analysis, outputs: event };
    case 'finished':
      return { ...analysis, status: 'finished', finished: event };
    case 'failed':
      return { ...analysis, status: 'failed', problem: event.problem };
  }
}

function placed<T>(list: readonly T[], index: number, item: T): T[] {
  const next = [...list];
  next[index] = item;
  return next;
}
