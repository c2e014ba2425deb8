import { greatest, least } from '../statistics/numbers.js';
import type { Entry, HiddenStatistics } from '../statistics/statistics.js';
import type { Analysis } from './analysis.js';
import type { Thresholds } from './thresholds.js';

/**
 * How an entry stands out from its hidden state. `massive`: |h| > absolute and |h| ≥ ratio × median
 * (arXiv:2402.17762). `large`: |h| ≥ soft × median alone.
 */
export type Kind = 'massive' | 'large';

/** One scalar `h[token, dim]` that stands out in at least one layer. */
export interface MassiveActivation {
  readonly token: number;
  readonly dim: number;
  /** `massive` where it is so in any layer. */
  readonly kind: Kind;
  /** The layer where its ratio is greatest among those where it is of its kind. */
  readonly layer: number;
  /** Signed, at `layer`. */
  readonly value: number;
  /** |value| over the median, at `layer`. */
  readonly ratio: number;
  /** First and last layer where it is of its kind. */
  readonly onset: number;
  readonly last: number;
  /** First and last layer where it is at least `large`; the same as above where that is its kind. */
  readonly softOnset: number;
  readonly softLast: number;
  /** By layer; undefined where it is not among the layer's largest entries. */
  readonly values: readonly (number | undefined)[];
}

/** |value| as a multiple of the layer's median: infinite where that is 0, and 0 where the value is 0 as well. */
export function ratio(value: number, layer: Pick<HiddenStatistics, 'median'>): number {
  return value === 0 ? 0 : Math.abs(value) / layer.median;
}

/** What entries are told apart by. */
type Bounds = Pick<Thresholds, 'absolute' | 'ratio' | 'soft'>;

/** How `value` stands out in this layer, if it does. A median of 0 gives no scale for `large`. */
export function kindOf(value: number, layer: HiddenStatistics, thresholds: Bounds): Kind | undefined {
  const magnitude = Math.abs(value);
  if (magnitude > thresholds.absolute && magnitude >= thresholds.ratio * layer.median) return 'massive';
  return layer.median > 0 && magnitude >= thresholds.soft * layer.median ? 'large' : undefined;
}

/**
 * Every entry that is massive or large in some layer: massive ones first, then by falling ratio.
 * Read from each layer's sixteen largest entries, so a seventeenth is not seen.
 */
export function massiveActivations(analysis: Analysis, thresholds: Bounds): MassiveActivation[] {
  const found = new Map<string, Sighting[]>();
  const { layers } = analysis;
  for (const [layer, statistics] of layers.entries()) {
    for (const entry of statistics.top) {
      const kind = kindOf(entry.value, statistics, thresholds);
      if (!kind) continue;
      const key = `${entry.token} ${entry.dim}`;
      const sighting = { ...entry, layer, kind, ratio: ratio(entry.value, statistics) };
      found.set(key, [...(found.get(key) ?? []), sighting]);
    }
  }
  return Array.from(found.values(), (sightings) => summarised(sightings, layers)).sort(
    (a, b) => Number(b.kind === 'massive') - Number(a.kind === 'massive') || b.ratio - a.ratio || a.token - b.token,
  );
}

interface Sighting extends Entry {
  readonly layer: number;
  readonly kind: Kind;
  readonly ratio: number;
}

/** One (token, dim), from where it stands out. */
function summarised(sightings: readonly Sighting[], layers: readonly HiddenStatistics[]): MassiveActivation {
  const massive = sightings.filter((sighting) => sighting.kind === 'massive');
  const ofKind = massive.length > 0 ? massive : sightings;
  const peak = ofKind.reduce((best, sighting) => (sighting.ratio > best.ratio ? sighting : best));
  const { token, dim } = peak;
  const where = ofKind.map(({ layer }) => layer);
  const softWhere = sightings.map(({ layer }) => layer);
  return {
    ...peak,
    onset: least(where),
    last: greatest(where),
    softOnset: least(softWhere),
    softLast: greatest(softWhere),
    values: layers.map(({ top }) => top.find((entry) => entry.token === token && entry.dim === dim)?.value),
  };
}
