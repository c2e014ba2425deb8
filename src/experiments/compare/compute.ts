/** Several models, or one on several texts, side by side: explicit attention biases against sink tokens and none. */
import type { Analysis } from '../../analysis/analysis.js';
import { formatNumber, formatRatio } from '../../analysis/format.js';
import { ratio } from '../../analysis/massive.js';
import { type Sinks, sinks } from '../../analysis/sinks.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';
import { greatest } from '../../statistics/numbers.js';
import type { Entry } from '../../statistics/statistics.js';
import { type Budget, eachAs, type Progress, type Run } from '../experiment.js';
import { measurePerplexity, type Perplexity, type TextPerplexity } from '../shared/perplexity.js';
import { analyzePrompt, factsOf, type RunFacts } from '../shared/run.js';
import { encode } from '../shared/text.js';
import type { NamedText } from '../values.js';

export interface CompareRequest extends Budget {
  /** Every model is run on every text. */
  readonly models: readonly string[];
  readonly texts: readonly NamedText[];
  /** Tokens that are run of each text, and of each window that is scored; prefix included. */
  readonly window: number;
  /** Perplexity on only the first so many tokens of the text. */
  readonly tokens?: number;
  /** False: without the models' prefix tokens. */
  readonly bos?: boolean;
  readonly thresholds: Thresholds;
}

export interface Compared extends RunFacts {
  readonly text: string;
  /** The token put before the text. */
  readonly prefix: number | undefined;
  /** By layer k of h_k: the three largest entries, the median, and the largest over it. */
  readonly layers: readonly { readonly top: readonly Entry[]; readonly median: number; readonly ratio: number }[];
  /** By layer k and token: largest |h|. */
  readonly tokenMax: readonly Float32Array[];
  /** The first layer with a massive entry by definition, and the last; undefined where there is none. */
  readonly massive: readonly [first: number, last: number] | undefined;
  readonly sinks: Pick<Sinks, 'rate' | 'extraRate' | 'heads' | 'epsilon'>;
  /** Mean attention on token 0 and on the extra columns, [layer - 1][head]; undefined without a pattern. */
  readonly alpha: readonly (Attention | undefined)[];
  /** Or why there is none, in words. */
  readonly perplexity: Scored | string;
}

/** A perplexity, and the windows that it is of. */
type Scored = Perplexity & Pick<TextPerplexity, 'window' | 'stride' | 'windows' | 'left'>;

interface Attention {
  readonly first: readonly number[];
  readonly extra: readonly number[] | undefined;
}

/** Run `of` minus run `from`, where their shapes agree; undefined where they do not. */
export interface Difference {
  /** Indices among the runs, and the runs themselves. */
  readonly of: number;
  readonly from: number;
  readonly run: Compared;
  readonly first: Compared;
  /** By layer: log10 of the ratio of largest entry to median. */
  readonly ratio: readonly number[] | undefined;
  /** [layer - 1][head]: attention on token 0 and on extra columns together. */
  readonly sink: readonly (readonly number[] | undefined)[] | undefined;
  /** The tokens that both have: `count` of them, from these on. Needs the same text, and the same ids for it. */
  readonly tokens: { readonly of: number; readonly from: number; readonly count: number } | undefined;
  /** [layer][i]: largest |h| at the i-th of these tokens. */
  readonly tokenMax: readonly Float32Array[] | undefined;
}

export interface CompareResult {
  readonly texts: readonly NamedText[];
  readonly runs: readonly Compared[];
  readonly thresholds: Thresholds;
  /** Limits that all runs share, for axes that can be read against each other. */
  readonly axes: { readonly layers: number; readonly tokens: number; readonly heads: number; readonly largest: number };
  /** Every run against the first. */
  readonly differences: readonly Difference[];
}

/** A model on a text, the `at`-th of `of`. */
interface Pair {
  readonly model: string;
  readonly text: NamedText;
  readonly at: number;
  readonly of: number;
}

/** @throws SinkscopeError where a model cannot be run on a text */
export async function* compareRuns(engine: Engine, request: CompareRequest, signal?: AbortSignal): Run<CompareResult> {
  const { models, texts, thresholds } = request;
  const pairs = models.flatMap((model) => texts.map((text) => ({ model, text })));
  if (pairs.length < 2)
    throw new SinkscopeError({ code: 'input', message: 'One model on one text is nothing to compare; give another.' });
  const runs: Compared[] = [];
  for (const { model, text } of pairs) {
    runs.push(yield* comparedOf(engine, request, { model, text, at: runs.length, of: pairs.length }, signal));
  }
  const axes = {
    layers: greatest(runs.map(({ layers }) => layers.length - 1)),
    tokens: greatest(runs.map(({ tokens }) => tokens)),
    heads: greatest(
      runs.flatMap(({ alpha }) => alpha.map((block) => block?.first.length ?? 0)),
      0,
    ),
    largest: greatest(runs.flatMap(({ layers }) => layers.map(({ top }) => Math.abs(top[0]?.value ?? 0)))),
  };
  const [first, ...others] = runs;
  const differences = first ? others.map((run, i) => differenceOf(first, run, i + 1)) : [];
  return { texts, runs, thresholds, axes, differences };
}

async function* comparedOf(
  engine: Engine,
  request: CompareRequest,
  pair: Pair,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, Compared, void> {
  const {
    model,
    text: { name, text },
  } = pair;
  const { window, bos, thresholds, memory, threads } = request;
  const { ids, prefix } = await encode(engine, model, text, { bos }, signal);
  const head = prefix === undefined ? [] : [prefix];
  const sequence = [...head, ...Array.from(ids).slice(0, window - head.length)];
  const analysis = await analyzePrompt(engine, { model, prompt: { ids: sequence }, memory, threads }, signal);
  const { layers } = analysis;
  const facts = factsOf(analysis);
  const massive = layers.flatMap(({ top, median }, k) =>
    top.some(({ value }) => Math.abs(value) > thresholds.absolute && Math.abs(value) >= thresholds.ratio * median)
      ? [k]
      : [],
  );
  const { rate, extraRate, heads, epsilon } = sinks(analysis, thresholds);
  return {
    ...facts,
    // Of ids alone it is not known what they are; what was put there is.
    sequence: facts.sequence.map((token, index) => (index < head.length ? { ...token, special: true } : token)),
    window: { start: 0, end: sequence.length - head.length },
    total: head.length + ids.length,
    bos: prefix !== undefined,
    text: name,
    prefix,
    layers: layers.map((layer) => ({
      top: layer.top.slice(0, 3),
      median: layer.median,
      ratio: ratio(layer.top[0]?.value ?? 0, layer),
    })),
    tokenMax: layers.map(({ tokenMax }) => tokenMax),
    massive: firstAndLast(massive),
    sinks: { rate, extraRate, heads, epsilon },
    alpha: layers.slice(1).map((_, i) => attentionOf(analysis.attention[i])),
    perplexity: yield* perplexityOf(engine, request, pair, signal),
  };
}

function firstAndLast(layers: readonly number[]): Compared['massive'] {
  const [first, last] = [layers[0], layers.at(-1)];
  return first === undefined || last === undefined ? undefined : [first, last];
}

function attentionOf(statistics: Analysis['attention'][number]): Attention | undefined {
  if (!statistics) return undefined;
  const { heads, tokens, alpha, extra } = statistics;
  return {
    first: Array.from({ length: heads }, (_, head) => alpha[head * tokens] ?? 0),
    extra: extra && Array.from(extra.alpha),
  };
}

/** A text that fills no window, and a model that predicts nothing, are compared all the same. */
async function* perplexityOf(
  engine: Engine,
  request: CompareRequest,
  { model, text: { text }, at, of }: Pair,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, Compared['perplexity'], void> {
  try {
    const measuring = measurePerplexity(engine, { ...request, model, text }, signal);
    const scored = yield* eachAs(measuring, ({ done, of: windows, underWay, note }) => {
      return { phase: 'measuring', done: at * windows + done, of: of * windows, underWay, note };
    });
    const { perplexity, tokens, interval, window, stride, windows, left } = scored;
    return { perplexity, tokens, interval, window, stride, windows, left };
  } catch (error) {
    if (!SinkscopeError.is(error, 'input')) throw error;
    return error.message;
  }
}

function differenceOf(first: Compared, run: Compared, index: number): Difference {
  const sameDepth = first.layers.length === run.layers.length;
  const sameHeads = first.alpha.every((block, i) => block?.first.length === run.alpha[i]?.first.length);
  const drawn = (block: Attention | undefined) => block?.first.map((alpha, head) => alpha + (block.extra?.[head] ?? 0));
  const tokens = sameDepth ? commonTokens(first, run) : undefined;
  const none = Number.NaN;
  return {
    of: index,
    from: 0,
    run,
    first,
    ratio: sameDepth
      ? run.layers.map(({ ratio }, k) => Math.log10(ratio / (first.layers[k]?.ratio ?? none)))
      : undefined,
    sink:
      sameDepth && sameHeads
        ? run.alpha.map((block, i) => {
            const before = drawn(first.alpha[i]);
            return before && drawn(block)?.map((alpha, head) => alpha - (before[head] ?? none));
          })
        : undefined,
    tokens,
    tokenMax:
      tokens &&
      run.tokenMax.map((row, k) =>
        row
          .subarray(tokens.of, tokens.of + tokens.count)
          .map((value, i) => value - (first.tokenMax[k]?.[tokens.from + i] ?? none)),
      ),
  };
}

/** The text's tokens, and the prefix tokens where both have one; undefined where the texts' tokens differ. */
function commonTokens(from: Compared, of: Compared): Difference['tokens'] {
  const start = ({ prefix }: Compared) => (prefix === undefined ? 0 : 1);
  const both = Math.min(start(from), start(of));
  const at = { of: start(of) - both, from: start(from) - both };
  const count = Math.min(of.tokens - at.of, from.tokens - at.from);
  const same = Array.from({ length: count - both }, (_, i) => i + both).every(
    (i) => of.sequence[at.of + i]?.id === from.sequence[at.from + i]?.id,
  );
  return same && count > both ? { ...at, count } : undefined;
}

/** What to conclude, in a sentence or two: which have massive activations and what stands in their place; the rest is a table. */
export function compareConclusion({ runs, thresholds }: CompareResult): string {
  const manyTexts = new Set(runs.map(({ text }) => text)).size > 1;
  const named = (some: readonly Compared[]) =>
    some.map((run) => {
      const name = manyTexts ? `${run.name} on ${run.text}` : run.name;
      return `${name} (at most ${formatRatio(greatest(run.layers.map(({ ratio }) => ratio)))} the median)`;
    });
  const having = named(runs.filter(({ massive }) => massive));
  const lacking = named(runs.filter(({ massive }) => !massive));
  const which =
    having.length === 0
      ? `No massive activations in ${lacking.join(', ')}`
      : `Massive activations in ${having.join(', ')}${lacking.length === 0 ? '' : `; none in ${lacking.join(', ')}`}`;
  const explicit = runs.filter(({ sinks: { extraRate } }) => (extraRate ?? 0) > 0);
  const without = explicit.filter(({ massive }) => !massive);
  const lesson =
    explicit.length === 0
      ? ''
      : without.length === explicit.length
        ? ' Where an extra column takes the sink, no massive activation is needed: an explicit bias does its work.'
        : ' An extra column takes a sink here and massive activations stay all the same.';
  return `${which}; massive is above ${formatNumber(thresholds.absolute)} and ${formatRatio(thresholds.ratio)} the median.${lesson}`;
}
