/** What moved between two runs of a model on the same text, as between two exports of it: a pure function of both. */
import { greatest, sum } from '../statistics/numbers.js';
import type { HiddenStatistics, PatternStatistics } from '../statistics/statistics.js';
import type { Analysis } from './analysis.js';
import { counted } from './format.js';
import { type MassiveActivation, massiveActivations, ratio } from './massive.js';
import { type Sink, sinks } from './sinks.js';
import type { Thresholds } from './thresholds.js';

/** The same figure in the run before and in the one after. */
export interface Both<T> {
  readonly before: T;
  readonly after: T;
}

/** The entry of a run that is most times its layer's median. */
export interface Largest {
  readonly value: number;
  readonly token: number;
  readonly dim: number;
  /** k of `h_k`. */
  readonly layer: number;
  readonly ratio: number;
}

/** Statistics of `h_layer` in both runs; changes are relative, NaN where numbers before or after are not finite. */
export interface LayerDifference {
  /** k of `h_k`. */
  readonly layer: number;
  readonly median: Both<number>;
  /** Largest entry by magnitude, signed; 0 where none is finite. */
  readonly largest: Both<number>;
  readonly ratio: Both<number>;
  /** ‖n′ − n‖ ÷ ‖n‖ of the norms of tokens, [T]. */
  readonly tokens: number;
  /** The same of the largest magnitude of each dim, [D]. */
  readonly dims: number;
  /** Largest |α′ − α| over heads and tokens of the block that leaves `h_layer`; undefined where a pattern is missing. */
  readonly alpha: number | undefined;
  /** Entries that are NaN or infinite. */
  readonly nonFinite: Both<number>;
}

/** The token that would come next, and how far the distributions are apart. */
export interface NextDifference
  extends Both<{ readonly text: string; readonly id: number; readonly probability: number }> {
  /**
   * Nats by which KL(before ‖ after) is at least: of the tokens that both runs have among their most likely ones, and
   * of all others together. Merging outcomes never makes a divergence larger.
   */
  readonly kld: number;
}

/** What a head gives that is no vocabulary's. */
export interface OutputDifference {
  readonly name: string;
  /** Of its rows' norms and of the largest entries that both have, the greatest change relative to the norm before. */
  readonly change: number;
  /** What stands first in the first row where that is another one; undefined where it is the same everywhere. */
  readonly first: Both<string> | undefined;
}

export interface RunDifference {
  /** Neither massive before nor large ones count here: what is massive in the other run alone. */
  readonly massive: { readonly came: readonly MassiveActivation[]; readonly went: readonly MassiveActivation[] };
  readonly sinks: { readonly came: readonly Sink[]; readonly went: readonly Sink[] };
  readonly largest: Both<Largest | undefined>;
  /** By k, 0 … L. */
  readonly layers: readonly LayerDifference[];
  /** Undefined where either run has no predictions. */
  readonly next: NextDifference | undefined;
  /** In place of it, of heads that are no vocabulary's: outputs that both runs have, in their order. */
  readonly outputs: readonly OutputDifference[];
}

/** Why two runs cannot be held against each other: `reason` in a clause that follows "because". */
export interface Unlike {
  readonly reason: string;
}

export function isUnlike(found: RunDifference | Unlike): found is Unlike {
  return 'reason' in found;
}

/**
 * What moved from `before` to `after`, both finished and meant to be of the same text; {@link Unlike} where they have
 * other tokens, other layers or another width, so that no number of one has its like in the other.
 */
export function difference(before: Analysis, after: Analysis, thresholds: Thresholds): RunDifference | Unlike {
  const reason = unlike(before, after);
  if (reason !== undefined) return { reason };
  const both = <T>(of: (analysis: Analysis) => T): Both<T> => ({ before: of(before), after: of(after) });
  const massive = both((one) => massiveActivations(one, thresholds).filter(({ kind }) => kind === 'massive'));
  const drawn = both((one) => sinks(one, thresholds).sinks);
  return {
    massive: cameAndWent(massive, (a, b) => a.token === b.token && a.dim === b.dim),
    sinks: cameAndWent(drawn, (a, b) => a.token === b.token),
    largest: both(({ layers }) => largestOf(layers)),
    layers: before.layers.flatMap((layer, k) => {
      const now = after.layers[k];
      return now ? [layerDifference(k, layer, now, before.attention[k - 1], after.attention[k - 1])] : [];
    }),
    next: nextDifference(before, after),
    outputs: outputDifferences(before, after),
  };
}

function unlike(before: Analysis, after: Analysis): string | undefined {
  const tokens = [before, after].map((one) => one.tokens?.tokens ?? []);
  const [old = [], now = []] = tokens;
  if (old.length !== now.length) return `the text is ${now.length} tokens for it now, and was ${old.length}`;
  const other = now.findIndex(({ id }, i) => id !== old[i]?.id);
  if (other >= 0) return `the text is other tokens for it now, from token ${other} on`;
  const shape = ({ layers }: Analysis) => `${counted(layers.length - 1, 'layer')} of width ${layers[0]?.dims ?? 0}`;
  return shape(before) === shape(after) ? undefined : `it has ${shape(after)} now, and had ${shape(before)}`;
}

/** Those of one list that have no like in the other. */
function cameAndWent<T>({ before, after }: Both<readonly T[]>, like: (a: T, b: T) => boolean) {
  const without = (all: readonly T[], others: readonly T[]) =>
    all.filter((one) => !others.some((other) => like(one, other)));
  return { came: without(after, before), went: without(before, after) };
}

function largestOf(layers: readonly HiddenStatistics[]): Largest | undefined {
  const each = layers.flatMap((state, layer) =>
    state.top.slice(0, 1).map((entry) => ({ ...entry, layer, ratio: ratio(entry.value, state) })),
  );
  return each.reduce<Largest | undefined>((best, one) => (best && best.ratio >= one.ratio ? best : one), undefined);
}

function layerDifference(
  layer: number,
  before: HiddenStatistics,
  after: HiddenStatistics,
  attention: PatternStatistics | undefined,
  attentionAfter: PatternStatistics | undefined,
): LayerDifference {
  const both = <T>(of: (state: HiddenStatistics) => T): Both<T> => ({ before: of(before), after: of(after) });
  const top = (state: HiddenStatistics) => state.top[0]?.value ?? 0;
  return {
    layer,
    median: both(({ median }) => median),
    largest: both(top),
    ratio: both((state) => ratio(top(state), state)),
    tokens: relativeChange(before.tokenNorm, after.tokenNorm),
    dims: relativeChange(before.dimMax, after.dimMax),
    alpha: attention && attentionAfter && alphaChange(attention, attentionAfter),
    nonFinite: both(({ nonFinite }) => nonFinite),
  };
}

/** ‖b − a‖ ÷ ‖a‖; 0 where both are all zeros. */
function relativeChange(a: Float32Array, b: Float32Array): number {
  const moved = sum(a.map((value, i) => ((b[i] ?? Number.NaN) - value) ** 2));
  return moved === 0 ? 0 : Math.sqrt(moved / sum(a.map((value) => value ** 2)));
}

/** Undefined where heads or tokens differ. */
function alphaChange(a: PatternStatistics, b: PatternStatistics): number | undefined {
  const changes = (one: Float32Array, other: Float32Array) =>
    greatest(
      one.map((value, i) => Math.abs(value - (other[i] ?? Number.NaN))),
      0,
    );
  if (a.alpha.length !== b.alpha.length || a.extra?.alpha.length !== b.extra?.alpha.length) return undefined;
  return greatest([changes(a.alpha, b.alpha), a.extra && b.extra ? changes(a.extra.alpha, b.extra.alpha) : 0]);
}

function nextDifference(before: Analysis, after: Analysis): NextDifference | undefined {
  const [old, now] = [before.predictions, after.predictions];
  const [first, firstNow] = [old?.top[0], now?.top[0]];
  if (!old || !now || !first || !firstNow || old.token !== now.token) return undefined;
  const shared = old.top.flatMap(({ id, probability }) => {
    const like = now.top.find((one) => one.id === id);
    return like ? [{ p: probability, q: like.probability }] : [];
  });
  const rest = (of: 'p' | 'q') => Math.max(0, 1 - sum(shared.map((one) => one[of])));
  const terms = [...shared, { p: rest('p'), q: rest('q') }];
  // Below single precision the sums of probabilities leave nothing but rounding.
  const kld = sum(terms.map(({ p, q }) => (p < 1e-7 ? 0 : p * Math.log(p / Math.max(q, 1e-7)))));
  return { before: first, after: firstNow, kld: Math.max(0, kld) };
}

function outputDifferences(before: Analysis, after: Analysis): OutputDifference[] {
  return (before.outputs?.outputs ?? []).flatMap((old): OutputDifference[] => {
    const now = after.outputs?.outputs.find(({ name }) => name === old.name);
    if (!now) return [];
    const changes = old.rows.flatMap(({ norm, top }, row) => {
      const like = now.rows[row];
      if (!like) return [Number.NaN];
      const entries = top.flatMap(({ index, value }) => {
        const same = like.top.find((one) => one.index === index);
        return same ? [same.value - value] : [];
      });
      return [like.norm - norm, ...entries].map((moved) => (moved === 0 ? 0 : Math.abs(moved) / norm));
    });
    const first = (row: (typeof old.rows)[number] | undefined) => row?.top[0]?.label ?? '';
    const other = old.rows.findIndex((row, i) => first(row) !== first(now.rows[i]));
    return [
      {
        name: old.name,
        change: greatest(changes, 0),
        first: other < 0 ? undefined : { before: first(old.rows[other]), after: first(now.rows[other]) },
      },
    ];
  });
}
