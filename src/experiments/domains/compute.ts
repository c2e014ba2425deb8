/** Which heads are dormant on one corpus, with their attention on the sink, and active on another (arXiv:2410.13835). */
import type { Thresholds } from '../../analysis/thresholds.js';
import type { ModelSummary } from '../../engine/contract/events.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { least } from '../../statistics/numbers.js';
import type { PatternStatistics } from '../../statistics/statistics.js';
import type { Budget, Run } from '../experiment.js';
import { type Pieces, piecesOf } from '../shared/pieces.js';
import type { Corpus } from '../values.js';

export interface DomainsRequest extends Budget {
  readonly model: string;
  /** The two that are compared. */
  readonly corpora: readonly [Corpus, Corpus];
  /** Of each corpus. */
  readonly sequences: number;
  /** Tokens of a sequence, prefix included. */
  readonly length: number;
  readonly bos: boolean | undefined;
  readonly thresholds: Thresholds;
}

/** A head's attention on the sink over the sequences of a corpus. */
export interface Share {
  readonly mean: number;
  /** Standard error of the mean; undefined for a single sequence. */
  readonly error: number | undefined;
}

export interface HeadByDomain {
  /** Of the block, from 1, and of the head in it, from 0. */
  readonly layer: number;
  readonly head: number;
  readonly shares: readonly [Share, Share];
  /** Dormant on the first corpus and active on the second, or the other way round; undefined: neither. */
  readonly switches: 'dormant then active' | 'active then dormant' | undefined;
}

export interface DomainsResult {
  readonly model: ModelSummary;
  readonly corpora: readonly [DomainFacts, DomainFacts];
  readonly length: number;
  readonly prefix: number | undefined;
  readonly thresholds: Thresholds;
  /** Of all blocks whose patterns can be had. */
  readonly heads: readonly HeadByDomain[];
}

export interface DomainFacts {
  readonly name: string;
  /** That were run. */
  readonly sequences: number;
}

/**
 * Measures each head's attention on the sink: the first token, and columns that belong to no token (a learned sink, an
 * explicit bias) where the model has them; the mean over all queries of a sequence, then over the sequences.
 *
 * @throws SinkscopeError `input` where a corpus has no text, or no pattern can be had; `cancelled`
 */
export async function* compareDomains(
  engine: Engine,
  request: DomainsRequest,
  signal?: AbortSignal,
): Run<DomainsResult> {
  const { model, corpora, thresholds, memory, threads } = request;
  const cuts: Pieces[] = [];
  for (const { texts } of corpora) cuts.push(await piecesOf(engine, { ...request, texts }, signal));
  // What a head gives to the first token depends on how many others there are: both are cut alike.
  const length = least(cuts.map((cut) => cut.length));
  const of = cuts.reduce((sum, { pieces }) => sum + pieces.length, 0);

  let summary: ModelSummary | undefined;
  let done = 0;
  // By corpus, `layer head`, then sequence.
  const found = [new Map<string, number[]>(), new Map<string, number[]>()] as const;
  for (const [corpus, { pieces }] of cuts.entries()) {
    for (const piece of pieces) {
      const ids = piece.slice(0, length);
      const run = { model, prompt: { ids }, bos: undefined, window: undefined, attention: true, memory, threads };
      for await (const event of engine.analyze(run, signal)) {
        if (event.type === 'failed') throw new SinkscopeError(event.problem);
        if (event.type === 'started') summary = event.model;
        if (event.type !== 'attention') continue;
        for (const [head, share] of sinkShares(event.statistics).entries()) {
          const key = `${event.layer} ${head}`;
          const kept = found[corpus === 0 ? 0 : 1];
          const shares = kept.get(key) ?? [];
          shares.push(share);
          kept.set(key, shares);
        }
      }
      done++;
      yield { phase: 'sequence', done, of };
    }
  }
  if (!summary) throw new Error('nothing was run');
  if (found[0].size === 0) {
    const message = `No attention pattern of ${summary.name} can be had, so nothing can be said of its heads; inspect says why.`;
    throw new SinkscopeError({ code: 'input', message });
  }
  const heads = [...found[0]].map(([key, first]): HeadByDomain => {
    const [layer = 0, head = 0] = key.split(' ').map(Number);
    const shares = [shareOf(first), shareOf(found[1].get(key) ?? [])] as const;
    return { layer, head, shares, switches: switching(shares, thresholds.epsilon) };
  });
  const facts = (index: 0 | 1) => ({ name: corpora[index].name, sequences: cuts[index]?.pieces.length ?? 0 });
  return { model: summary, corpora: [facts(0), facts(1)], length, prefix: cuts[0]?.prefix, thresholds, heads };
}

/** By head: α of the first token and of what stands beside the tokens. */
function sinkShares({ heads, tokens, alpha, extra }: PatternStatistics): number[] {
  return Array.from({ length: heads }, (_, head) => (alpha[head * tokens] ?? 0) + (extra?.alpha[head] ?? 0));
}

function shareOf(values: readonly number[]): Share {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const error = values.length < 2 ? undefined : Math.sqrt(squares / (values.length - 1) / values.length);
  return { mean, error };
}

/** On either side of ε, and further apart than twice the standard error of their difference. */
function switching([a, b]: HeadByDomain['shares'], epsilon: number): HeadByDomain['switches'] {
  if (a.mean > epsilon === b.mean > epsilon) return undefined;
  if (a.error === undefined || b.error === undefined) return undefined;
  if (Math.abs(a.mean - b.mean) <= 2 * Math.hypot(a.error, b.error)) return undefined;
  return a.mean > b.mean ? 'dormant then active' : 'active then dormant';
}
