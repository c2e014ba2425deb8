/** What all views show of a run, computed once per change, and what they show as long as nothing is selected. */
import type { Analysis } from '../src/analysis/analysis.js';
import { tokenLabels } from '../src/analysis/label.js';
import { type Kind, type MassiveActivation, massiveActivations, ratio } from '../src/analysis/massive.js';
import type { Selection } from '../src/analysis/selection.js';
import { type Sinks, sinks } from '../src/analysis/sinks.js';
import type { Thresholds } from '../src/analysis/thresholds.js';

export interface Findings {
  readonly massive: readonly MassiveActivation[];
  readonly sinks: Sinks;
  /** Every token as it is shown, [T]. */
  readonly labels: readonly string[];
  /** T; 0 before tokens or a layer have arrived. */
  readonly tokens: number;
  /** L, of which not all need have arrived. */
  readonly layers: number;
  /** Greatest ratio of any entry to its layer's median, by layer. */
  readonly ratios: readonly number[];
}

export function findingsOf(analysis: Analysis, thresholds: Thresholds): Findings {
  const { layers, tokens, started } = analysis;
  return {
    massive: massiveActivations(analysis, thresholds),
    sinks: sinks(analysis, thresholds),
    labels: tokens ? tokenLabels(tokens) : [],
    tokens: tokens?.tokens.length ?? layers[0]?.tokens ?? 0,
    layers: started?.model.layers ?? Math.max(0, layers.length - 1),
    ratios: layers.map((state) => ratio(state.top[0]?.value ?? Number.NaN, state)),
  };
}

/** The stronger kind of each token that stands out in any layer. */
export function kindsOf({ massive }: Findings): Map<number, Kind> {
  const kinds = new Map<number, Kind>();
  for (const { token, kind } of massive) {
    if (kind === 'massive' || !kinds.has(token)) kinds.set(token, kind);
  }
  return kinds;
}

/** The layer of single-layer views: the selected one, else where the strongest activation stands out most. */
export function shownLayer(analysis: Analysis, findings: Findings, selection: Selection): number {
  const last = analysis.layers.length - 1;
  const wanted = selection.layer ?? findings.massive[0]?.layer ?? last;
  return Math.max(0, Math.min(last, wanted));
}

/** The token of single-token views: the selected one, else the strongest sink, else the first. */
export function shownToken(findings: Findings, selection: Selection): number {
  const wanted = selection.token ?? findings.sinks.sinks.find((sink) => sink.token !== undefined)?.token ?? 0;
  return Math.max(0, Math.min(findings.tokens - 1, wanted));
}
