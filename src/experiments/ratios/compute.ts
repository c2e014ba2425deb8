/** Activation ratios of a graph transformer against the same model untrained (arXiv:2409.03463). */
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { fitGamma, type Gamma, gammaQuantile } from '../../statistics/gamma.js';
import type { Budget, Run } from '../experiment.js';
import { analyzePrompt, ask, type PromptRequest } from '../shared/run.js';

export interface RatiosRequest extends Budget {
  /** Path of the trained model, and of the same model with the weights it was trained from. */
  readonly model: string;
  readonly twin: string;
  /** The graphs both are run on; their entries are pooled. */
  readonly graphs: readonly PromptRequest['prompt'][];
  /** Share of the untrained model's fitted distribution that counts as its far end. */
  readonly tail: number;
}

/** One activation: the nodes' h_`layer`, or the edges' of block `layer`. */
export interface Ratios {
  readonly of: 'nodes' | 'edges';
  readonly layer: number;
  readonly trained: Distribution;
  readonly untrained: Distribution;
  /** Fitted to the untrained model's −log₁₀ ratios. */
  readonly gamma: Gamma;
  /** Ratio |a| ÷ median above which only `tail` of the fitted distribution lies. */
  readonly limit: number;
  /** Share of each model's entries above it. */
  readonly outside: number;
  readonly outsideUntrained: number;
}

/** −log₁₀(|a| ÷ median of the layer's |a|) of all entries: below −3 an entry is 1,000 × the median. */
export interface Distribution {
  readonly entries: number;
  /** Entries that are exactly 0; they have no ratio and count in nothing else. */
  readonly zeros: number;
  readonly median: number;
  readonly largestRatio: number;
  readonly histogram: Histogram;
}

/** Counts in bins of equal width from `start` on; both models share the bins. */
export interface Histogram {
  readonly start: number;
  readonly width: number;
  readonly counts: readonly number[];
}

export interface RatiosResult {
  readonly model: string;
  readonly twin: string;
  readonly graphs: number;
  readonly tail: number;
  readonly ratios: readonly Ratios[];
}

/** @throws SinkscopeError where the tail is no share, a model cannot be run on a graph, or the two differ in shape */
export async function* compareRatios(engine: Engine, request: RatiosRequest, signal?: AbortSignal): Run<RatiosResult> {
  const { model, twin, graphs, tail } = request;
  if (!(tail > 0 && tail < 0.5))
    throw new SinkscopeError({ code: 'input', message: `The far end is a share between 0 and 0.5, not ${tail}.` });
  const pools = { trained: new Map<string, Pool>(), untrained: new Map<string, Pool>() };
  let done = 0;
  for (const [which, file] of [['trained', model] as const, ['untrained', twin] as const]) {
    for (const prompt of graphs) {
      await pool(engine, { ...request, model: file, prompt }, pools[which], signal);
      yield { phase: 'running', done: ++done, of: 2 * graphs.length };
    }
  }
  const ratios = [...pools.trained].map(([key, own]) => {
    const other = pools.untrained.get(key);
    if (other?.values.length !== own.values.length) {
      throw new SinkscopeError({
        code: 'input',
        file: twin,
        message: `${twin} is not ${model} with other weights: their ${own.of} of layer ${own.layer} differ in number.`,
      });
    }
    return ratiosOf(own, other, tail);
  });
  return { model, twin, graphs: graphs.length, tail, ratios };
}

interface Pool {
  readonly of: 'nodes' | 'edges';
  readonly layer: number;
  readonly values: number[];
}

async function pool(
  engine: Engine,
  request: PromptRequest,
  pools: Map<string, Pool>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const layers = (await analyzePrompt(engine, request, signal)).layers.length - 1;
  const { blocks } = (await engine.inspect(request.model, signal, { takes: 'text' })).anatomy;
  for (let layer = 0; layer <= layers; layer++) {
    for (const of of ['nodes', 'edges'] as const) {
      if (of === 'edges' && blocks[layer - 1]?.attention?.edges === undefined) continue;
      const { values } = await ask(engine, { type: 'entries', layer, of }, signal);
      const known = pools.get(`${of} ${layer}`) ?? { of, layer, values: [] };
      for (const value of values) known.values.push(Math.abs(value));
      pools.set(`${of} ${layer}`, known);
    }
  }
}

const bins = 40;

function ratiosOf(trained: Pool, untrained: Pool, tail: number): Ratios {
  const [own, other] = [logRatios(trained), logRatios(untrained)];
  const [low, high] = ends(other.logs);
  // Below every value, by a hundredth of their range: at a value itself the likelihood has no bound.
  const gamma = fitGamma(other.logs, low - (high - low) / 100);
  const limit = gammaQuantile(gamma, tail);
  const [start, end] = ends([...ends(own.logs), low, high]);
  const described = ({ logs, zeros, median }: Logs): Distribution => ({
    entries: logs.length,
    zeros,
    median,
    largestRatio: 10 ** -ends(logs)[0],
    histogram: histogramOf(logs, start, (end - start) / bins),
  });
  return {
    of: trained.of,
    layer: trained.layer,
    trained: described(own),
    untrained: described(other),
    gamma,
    limit: 10 ** -limit,
    outside: shareBelow(own.logs, limit),
    outsideUntrained: shareBelow(other.logs, limit),
  };
}

/** The least and the greatest. */
const ends = (values: readonly number[]) =>
  values.reduce<readonly [number, number]>(
    ([low, high], x) => [Math.min(low, x), Math.max(high, x)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );

const shareBelow = (values: readonly number[], limit: number) => values.filter((x) => x < limit).length / values.length;

interface Logs {
  readonly logs: readonly number[];
  readonly zeros: number;
  readonly median: number;
}

function logRatios({ values }: Pool): Logs {
  const median = values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN;
  const present = values.filter((value) => value > 0);
  return { logs: present.map((value) => -Math.log10(value / median)), zeros: values.length - present.length, median };
}

function histogramOf(values: readonly number[], start: number, width: number): Histogram {
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.floor((value - start) / width));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return { start, width, counts };
}

/** The activation of which training has moved most beyond the untrained model's far end. */
export function mostChanged({ ratios }: Pick<RatiosResult, 'ratios'>): Ratios {
  const excess = ({ outside, outsideUntrained }: Ratios) => outside - outsideUntrained;
  return ratios.reduce((best, ratio) => (excess(ratio) > excess(best) ? ratio : best));
}

/** What the ratios say, in a sentence; that training made nothing massive, where it did not. */
export function ratiosConclusion({ ratios, tail }: RatiosResult): string {
  const percent = (share: number) => `${Number((100 * share).toPrecision(2))} %`;
  const most = mostChanged({ ratios });
  const where = `the ${most.of} of layer ${most.layer}`;
  const figures = `${percent(most.outside)} of ${where} lie beyond what ${percent(tail)} of the untrained model’s fitted distribution reaches (ratio ${most.limit.toFixed(1)}; the largest is ${most.trained.largestRatio.toFixed(1)}), of the untrained model ${percent(most.outsideUntrained)}`;
  if (most.outside <= 3 * Math.max(tail, most.outsideUntrained))
    return `At most ${figures}: training has made no activations massive here.`;
  return `${figures}: activations that an untrained model does not have.`;
}
