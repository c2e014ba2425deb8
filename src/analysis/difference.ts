/**
 * What moved from one run to another: between two exports of a model, two models, two prompts, with and without a prefix
 * token. A pure function of both. Tokens that both have are compared with each other ({@link sameTokens}); layers where
 * both models have the same.
 */
import { greatest, sum } from '../statistics/numbers.js';
import type { HiddenStatistics, PatternStatistics } from '../statistics/statistics.js';
import { type Pair, sameTokens } from './alignment.js';
import type { Analysis } from './analysis.js';
import { counted } from './format.js';
import { type MassiveActivation, massiveActivations, ratio } from './massive.js';
import { type Sink, sinks, tellsOfSink } from './sinks.js';
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
  /** ‖n′ − n‖ ÷ ‖n‖ of the norms of the tokens that both have; 0 where there is none. */
  readonly tokens: number;
  /** The same of the largest magnitude of each dim, [D]. */
  readonly dims: number;
  /**
   * By head of the block that leaves `h_layer`, α′ − α of the token that both have, or the extra column, where that is
   * greatest in magnitude; undefined where a pattern is missing or has other heads.
   */
  readonly heads: readonly HeadDifference[] | undefined;
  /** Entries that are NaN or infinite. */
  readonly nonFinite: Both<number>;
}

/** Of one head. */
export interface HeadDifference {
  readonly change: number;
  /** Index in the run after; undefined for the extra column. */
  readonly token: number | undefined;
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
  /** Tokens that both have. */
  readonly pairs: readonly Pair[];
  /** Tokens of each run. */
  readonly tokens: Both<number>;
  /** Neither massive before nor large ones count here: what is massive in the other run alone. */
  readonly massive: { readonly came: readonly MassiveActivation[]; readonly went: readonly MassiveActivation[] };
  /** Nor is what the other run cannot tell of: it is too short, or has no patterns. */
  readonly sinks: { readonly came: readonly Sink[]; readonly went: readonly Sink[] };
  /** Which run cannot tell of any sink. */
  readonly sinksUntold: Both<boolean>;
  readonly largest: Both<Largest | undefined>;
  /** By k, 0 … L; empty where the models have other layers, or another width: see `shapes`. */
  readonly layers: readonly LayerDifference[];
  /** Layers and widths in words, where they differ: `2 layers of width 4`. */
  readonly shapes: Both<string> | undefined;
  /** Undefined where either run has no predictions. */
  readonly next: NextDifference | undefined;
  /** In place of it, of heads that are no vocabulary's: outputs that both runs have, in their order. */
  readonly outputs: readonly OutputDifference[];
}

/** What moved from `before` to `after`, both finished. */
export function difference(before: Analysis, after: Analysis, thresholds: Thresholds): RunDifference {
  const both = <T>(of: (analysis: Analysis) => T): Both<T> => ({ before: of(before), after: of(after) });
  const pairs = sameTokens(before, after);
  const later = new Map(pairs);
  const isSame = (old: number | undefined, now: number | undefined) =>
    old === undefined ? now === undefined : later.get(old) === now;
  const massive = both((one) => massiveActivations(one, thresholds).filter(({ kind }) => kind === 'massive'));
  const drawn = both((one) => sinks(one, thresholds).sinks);
  const moving = cameAndWent(drawn, (old, now) => isSame(old.token, now.token));
  const earlier = new Map(pairs.map(([old, now]) => [now, old]));
  const told = (run: Analysis, token: number | undefined) => tellsOfSink(run, thresholds, token);
  const shapes = both(shapeOf);
  const isAlike = shapes.before === shapes.after;
  return {
    pairs,
    tokens: both(({ tokens }) => tokens?.tokens.length ?? 0),
    massive: cameAndWent(massive, (old, now) => isSame(old.token, now.token) && old.dim === now.dim),
    sinks: {
      came: moving.came.filter(({ token }) => told(before, token && earlier.get(token))),
      went: moving.went.filter(({ token }) => told(after, token && later.get(token))),
    },
    sinksUntold: both((one) => !told(one, undefined)),
    largest: both(({ layers }) => largestOf(layers)),
    layers: before.layers.flatMap((layer, k) => {
      const now = after.layers[k];
      return isAlike && now
        ? [
            layerDifference(
              k,
              layer,
              now,
              headDifferences(before.attention[k - 1], after.attention[k - 1], pairs),
              pairs,
            ),
          ]
        : [];
    }),
    shapes: isAlike ? undefined : shapes,
    next: nextDifference(before, after, isSame),
    outputs: outputDifferences(before, after),
  };
}

const shapeOf = ({ layers }: Analysis) =>
  `${counted(Math.max(0, layers.length - 1), 'layer')} of width ${layers[0]?.dims ?? 0}`;

/** Those of one list that have no like in the other. */
function cameAndWent<T>({ before, after }: Both<readonly T[]>, isLike: (old: T, now: T) => boolean) {
  return {
    came: after.filter((now) => !before.some((old) => isLike(old, now))),
    went: before.filter((old) => !after.some((now) => isLike(old, now))),
  };
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
  heads: readonly HeadDifference[] | undefined,
  pairs: readonly Pair[],
): LayerDifference {
  const both = <T>(of: (state: HiddenStatistics) => T): Both<T> => ({ before: of(before), after: of(after) });
  const top = (state: HiddenStatistics) => state.top[0]?.value ?? 0;
  const norms = (state: HiddenStatistics, side: 0 | 1) =>
    Float32Array.from(pairs, (pair) => state.tokenNorm[pair[side]] ?? Number.NaN);
  return {
    layer,
    median: both(({ median }) => median),
    largest: both(top),
    ratio: both((state) => ratio(top(state), state)),
    tokens: relativeChange(norms(before, 0), norms(after, 1)),
    dims: relativeChange(before.dimMax, after.dimMax),
    heads,
    nonFinite: both(({ nonFinite }) => nonFinite),
  };
}

/** ‖b − a‖ ÷ ‖a‖; 0 where both are all zeros. */
function relativeChange(a: Float32Array, b: Float32Array): number {
  const moved = sum(a.map((value, i) => ((b[i] ?? Number.NaN) - value) ** 2));
  return moved === 0 ? 0 : Math.sqrt(moved / sum(a.map((value) => value ** 2)));
}

function headDifferences(
  before: PatternStatistics | undefined,
  after: PatternStatistics | undefined,
  pairs: readonly Pair[],
): HeadDifference[] | undefined {
  if (!before || !after || before.heads !== after.heads || !before.extra !== !after.extra) return undefined;
  const alpha = ({ alpha, tokens }: PatternStatistics, head: number, token: number) =>
    alpha[head * tokens + token] ?? Number.NaN;
  return Array.from({ length: after.heads }, (_, head) => {
    const extra = (after.extra?.alpha[head] ?? 0) - (before.extra?.alpha[head] ?? 0);
    let most: HeadDifference = { change: extra, token: undefined };
    for (const [old, now] of pairs) {
      const change = alpha(after, head, now) - alpha(before, head, old);
      // What is no number is more than any.
      if (!(Math.abs(change) <= Math.abs(most.change))) most = { change, token: now };
    }
    return most;
  });
}

/** The greatest |α′ − α| of a layer; undefined where that cannot be told. */
export function alphaChange({ heads }: LayerDifference): number | undefined {
  return (
    heads &&
    greatest(
      heads.map(({ change }) => Math.abs(change)),
      0,
    )
  );
}

function nextDifference(
  before: Analysis,
  after: Analysis,
  isSame: (old: number, now: number) => boolean,
): NextDifference | undefined {
  const [old, now] = [before.predictions, after.predictions];
  const [first, firstNow] = [old?.top[0], now?.top[0]];
  const isLast = (of: Analysis, token: number) => token === (of.tokens?.tokens.length ?? 0) - 1;
  if (!old || !now || !first || !firstNow) return undefined;
  if (!isSame(old.token, now.token) && !(isLast(before, old.token) && isLast(after, now.token))) return undefined;
  // Ids of another vocabulary are other tokens.
  const isOne = before.started?.model.vocabulary === after.started?.model.vocabulary;
  const shared = old.top.flatMap(({ id, text, probability }) => {
    const like = now.top.find((one) => (isOne ? one.id === id : text !== '' && one.text === text));
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
