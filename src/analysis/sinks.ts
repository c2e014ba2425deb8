import type { PatternStatistics } from '../statistics/statistics.js';
import type { Analysis } from './analysis.js';
import type { Thresholds } from './thresholds.js';

/** A head, named as everywhere: `layer` k of the block that leaves `h_k`, `head` 0-based. */
export interface Draw {
  readonly layer: number;
  readonly head: number;
  readonly alpha: number;
}

/** A token that many heads are drawn to. */
export interface Sink {
  /** Index of the token; undefined for the columns that belong to none (a k′/v′ column, a learned sink). */
  readonly token: number | undefined;
  /** Heads with alpha > epsilon, over all layers. */
  readonly heads: number;
  /** Their share of all heads: Sink^eps of Gu et al. (arXiv:2410.10781). */
  readonly share: number;
  /** The head that is drawn most. */
  readonly strongest: Draw;
}

export interface Sinks {
  /** The metric falls with T and depends on epsilon, so both are part of every result. */
  readonly tokens: number;
  readonly epsilon: number;
  /** All heads of all layers whose pattern is known. */
  readonly heads: number;
  /** Most heads first. */
  readonly sinks: readonly Sink[];
  /** Sink_1^eps: share of heads with alpha > epsilon on the first token; undefined without any pattern. */
  readonly rate: number | undefined;
  /** The same for the extra columns, where the model has them. */
  readonly extraRate: number | undefined;
}

/** Whether a run can tell if a token is a sink: it has patterns, in which enough queries see the token. */
export function tellsOfSink({ attention }: Analysis, { minQueries }: Thresholds, token = 0): boolean {
  return attention.some((one) => one !== undefined && (one.causal ? one.tokens - token : one.tokens) >= minQueries);
}

/**
 * The attention sinks of a run. A token counts only where at least `minQueries` queries see it, because the mean
 * over a few rows looks like a sink by accident, and where at least `minShare` of all heads are drawn to it.
 */
export function sinks(analysis: Analysis, thresholds: Thresholds): Sinks {
  const { epsilon, minQueries, minShare } = thresholds;
  const tokens = analysis.tokens?.tokens.length ?? 0;
  const drawn = new Map<number | undefined, { heads: number; strongest: Draw }>();
  let heads = 0;
  let first = 0;
  let extra: number | undefined;

  const draw = (token: number | undefined, draw: Draw) => {
    const { heads, strongest } = drawn.get(token) ?? { heads: 0, strongest: draw };
    drawn.set(token, { heads: heads + 1, strongest: draw.alpha > strongest.alpha ? draw : strongest });
  };

  for (const [index, statistics] of analysis.attention.entries()) {
    if (!statistics) continue;
    heads += statistics.heads;
    if (statistics.extra) extra ??= 0;
    for (const { token, head, alpha } of drawnIn(statistics, epsilon)) {
      if (token === 0) first++;
      if (token === undefined) extra = (extra ?? 0) + 1;
      const queries = statistics.causal ? statistics.tokens - (token ?? 0) : statistics.tokens;
      if (queries >= minQueries) draw(token, { layer: index + 1, head, alpha });
    }
  }

  return {
    tokens,
    epsilon,
    heads,
    sinks: Array.from(drawn, ([token, { heads: count, strongest }]) => ({
      token,
      heads: count,
      share: count / heads,
      strongest,
    }))
      .filter((sink) => sink.share >= minShare)
      .sort((a, b) => b.heads - a.heads || b.strongest.alpha - a.strongest.alpha),
    rate: heads > 0 ? first / heads : undefined,
    extraRate: extra === undefined ? undefined : extra / heads,
  };
}

interface Drawn {
  readonly token: number | undefined;
  readonly head: number;
  readonly alpha: number;
}

/** Statistics never change: of a run that goes on, only the layer that has come is looked through. */
const known = new WeakMap<PatternStatistics, { readonly epsilon: number; readonly drawn: readonly Drawn[] }>();

/** What heads of a layer are drawn to with alpha > epsilon, head by head, tokens before the extra columns. */
function drawnIn(statistics: PatternStatistics, epsilon: number): readonly Drawn[] {
  const before = known.get(statistics);
  if (before?.epsilon === epsilon) return before.drawn;
  const { heads, tokens, alpha, extra } = statistics;
  const drawn: Drawn[] = [];
  const look = (token: number | undefined, head: number, alpha = Number.NaN) => {
    if (alpha > epsilon) drawn.push({ token, head, alpha });
  };
  for (let head = 0; head < heads; head++) {
    for (let token = 0; token < tokens; token++) look(token, head, alpha[head * tokens + token]);
    if (extra) look(undefined, head, extra.alpha[head]);
  }
  known.set(statistics, { epsilon, drawn });
  return drawn;
}
