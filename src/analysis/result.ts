import type { HeadOutput } from '../engine/contract/events.js';
import type { CrossStatistics, HiddenStatistics, PatternStatistics } from '../statistics/statistics.js';
import type { Analysis } from './analysis.js';
import { missingParts } from './conditions.js';
import { expertsOfEntry, loadOf, massiveByExpert } from './experts.js';
import { type MassiveActivation, massiveActivations, ratio } from './massive.js';
import { sinks } from './sinks.js';
import type { Thresholds } from './thresholds.js';

/** Version of {@link ResultJson}: raised whenever a reader of the older form would be wrong. */
export const RESULT_VERSION = 1;

/**
 * An analysis as a file or a pipe takes it (`analyze --json`, *Save Result*). Layers are k of `h_k`, 0 … L; tokens,
 * dims and heads count from 0. Numbers that are not finite become `null`, as JSON has no other word for them.
 */
export type ResultJson = ReturnType<typeof toJson>;

/**
 * The JSON form of an analysis.
 *
 * @throws RangeError where the run has not begun: nothing to write.
 */
export function toJson(analysis: Analysis, thresholds: Thresholds) {
  const { started, tokens, predictions, outputs, finished } = analysis;
  if (!started || !tokens) throw new RangeError('An analysis that has not begun has no JSON form');
  const { model, settings } = started;
  return {
    sinkscope: RESULT_VERSION,
    model: {
      file: model.file,
      name: model.name,
      /** The residual stream that was run, of those that the file has. */
      stream: model.stream,
      streams: model.streams,
      layers: model.layers,
      hidden: model.hidden,
      heads: model.heads ?? null,
      kv_heads: model.kvHeads ?? null,
      context: model.context ?? null,
      vocabulary: model.vocabulary ?? null,
      parallel_block: model.parallelBlock,
      bytes: model.bytes,
      missing: missingParts(analysis),
      remarks: model.remarks,
    },
    /** Everything that changes numbers. `bos` is null where token ids or feeds were given as they are. */
    settings: {
      bos: settings.bos ?? null,
      line_ends: settings.lineEnds ?? null,
      /** `on`: the text was the user's turn of a chat; `system`: after a system's. Null where there was no text. */
      chat: settings.chat ?? null,
      execution_provider: analysis.devices.at(-1)?.provider ?? 'cpu',
      graph_optimization: settings.graphOptimization,
      threads: settings.threads,
    },
    /** What was asked for (`--device`), what computed the last blocks, and what there was to say of it, in sentences. */
    device: deviceJson(analysis),
    /** How each input of the graph was fed; `guessed` where that was a choice that nobody made. */
    inputs: started.inputs.map(({ name, role, how, guessed }) => ({ name, role, how, guessed })),
    thresholds: {
      absolute: thresholds.absolute,
      ratio: thresholds.ratio,
      soft: thresholds.soft,
      epsilon: thresholds.epsilon,
      min_queries: thresholds.minQueries,
      min_share: thresholds.minShare,
    },
    source: tokens.source,
    /** Tokens of the whole text that were run, first and after the last; `total` is how many there are. */
    window: { start: tokens.window.start, end: tokens.window.end, total: tokens.total ?? null },
    /** Of the picture that was analyzed: `file`, upright `width` and `height`, the steps by which it was `prepared`; else null. */
    picture: tokens.picture ?? null,
    /** `start` and `end` are UTF-16 code units of the text; `region` is that of a patch, in the picture's pixels; `role` says whose words it is part of in a chat. */
    tokens: tokens.tokens.map(({ id, text, start, end, special, role, region }) => ({
      id,
      text,
      start,
      end,
      special,
      ...(role && { role }),
      ...(region && { region }),
    })),
    layers: analysis.layers.map(layerJson),
    massive_activations: massiveActivations(analysis, thresholds).map((activation) => ({
      ...activationJson(activation),
      /** Of the block where it arises, `onset`, to which its token was sent, and what each `made` of it; null where there are none. */
      experts: expertsJson(analysis, activation),
    })),
    sinks: sinksJson(analysis, thresholds),
    /** Attention to other states, as to an encoder's, by layer; those without any are left out. */
    cross_attention: Array.from(analysis.cross).flatMap((cross, i) => (cross ? [crossJson(cross, i + 1)] : [])),
    /** By layer, 1 … L: which experts the tokens were sent to; null where a block has none or its routing is not known. */
    routing: routingJson(analysis, thresholds),
    /** After token `token`, most likely first; null in a model without an output head. */
    predictions: predictions ? { token: predictions.token, top: predictions.top } : null,
    /** What a head that is no vocabulary's gives, in place of predictions; null where there is none. */
    outputs: outputs ? outputs.outputs.map(outputJson) : null,
    seconds: finished?.seconds ?? null,
    first_layer_seconds: finished?.firstLayerSeconds ?? null,
    saved: finished?.saved ?? null,
  };
}

function deviceJson({ devices }: Analysis) {
  const { asked = 'cpu', provider = 'cpu' } = devices.at(-1) ?? {};
  return { asked, provider, said: devices.map(({ why }) => why) };
}

function layerJson(statistics: HiddenStatistics, layer: number) {
  const { top, median, nonFinite } = statistics;
  const [largest] = top;
  return {
    layer,
    /** The 16 entries of largest |h|, largest first. */
    top: top.map(({ value, token, dim }) => ({ value, token, dim })),
    /** Lower median of |h|. */
    median,
    /** Largest |h| over the median. */
    ratio: largest ? ratio(largest.value, statistics) : null,
    /** By token: L2 norm, largest |h|, and its dimension. */
    token_norm: [...statistics.tokenNorm],
    token_max: [...statistics.tokenMax],
    token_max_dim: [...statistics.tokenMaxDim],
    /** By dimension: largest |h|. */
    dim_max: [...statistics.dimMax],
    non_finite: nonFinite,
  };
}

function activationJson(activation: MassiveActivation) {
  const { token, dim, kind, layer, value, ratio, onset, last, softOnset, softLast, values } = activation;
  return {
    token,
    dim,
    kind,
    /** Where the ratio is greatest; `value` and `ratio` are from there. */
    layer,
    value,
    ratio,
    /** First and last layer where it is of its kind. */
    onset,
    last,
    /** First and last layer where it is at least `soft` times the median. */
    soft_onset: softOnset,
    soft_last: softLast,
    /** By layer; null where it is not among the layer's 16 largest. */
    values: values.map((value) => value ?? null),
  };
}

function outputJson({ name, shape, kind, how, rows }: HeadOutput) {
  return {
    name,
    shape,
    kind,
    how,
    /** `token` is null where a row is about the whole input; of `places` the `index` of an entry is a token's. */
    rows: rows.map(({ token, norm, top }) => ({
      token: token ?? null,
      norm,
      top: top.map(({ index, label, value, probability }) => ({
        index,
        label,
        value,
        probability: probability ?? null,
      })),
    })),
  };
}

function sinksJson(analysis: Analysis, thresholds: Thresholds) {
  const { tokens, epsilon, heads, rate, extraRate, sinks: found } = sinks(analysis, thresholds);
  // Array.from fills the holes of blocks without a pattern.
  const patterns = Array.from(analysis.attention);
  return {
    T: tokens,
    eps: epsilon,
    heads,
    /** Sink_1^eps, the share of heads with alpha > eps on the first token; null without any pattern. */
    rate: rate ?? null,
    /** The same for the columns that belong to no token; null where there are none. */
    extra_rate: extraRate ?? null,
    /** `token` is null for the extra columns. */
    tokens: found.map(({ token, heads, share, strongest }) => ({ token: token ?? null, heads, share, strongest })),
    /** By layer, 1 … L: [heads][T]; null where the pattern is not known. */
    alpha: patterns.map((pattern) => (pattern ? rows(pattern) : null)),
    causal: patterns.map((pattern) => pattern?.causal ?? null),
    /** By layer: the columns that belong to no token, alpha [heads]; null where there are none. */
    extra: patterns.map((pattern) =>
      pattern?.extra
        ? { side: pattern.extra.side, columns: pattern.extra.columns, alpha: [...pattern.extra.alpha] }
        : null,
    ),
  };
}

/** `alpha` is [heads][positions]: the mean, over all tokens, of the weight on each position. */
function crossJson(cross: CrossStatistics, layer: number) {
  const { heads, positions, alpha } = cross;
  return { layer, heads, positions, alpha: rows({ heads, tokens: positions, alpha }) };
}

function expertsJson(analysis: Analysis, activation: MassiveActivation) {
  const experts = expertsOfEntry(analysis, activation, activation.onset);
  return experts?.map(({ made = null, ...expert }) => ({ ...expert, made })) ?? null;
}

function routingJson(analysis: Analysis, thresholds: Thresholds) {
  return Array.from({ length: analysis.started?.model.layers ?? 0 }, (_, block) => {
    const found = analysis.routing[block];
    if (!found) return null;
    if ('why' in found) return { why: found.why };
    const { experts, chosen, multiplies, tokens, scores, largest } = found;
    return {
      experts,
      chosen,
      /** By token the chosen experts, counted from 0, that of the largest weight first. */
      indices: split(found.indices, tokens),
      /** What multiplies their `outputs`, or the `inputs` that they read. */
      weights: split(found.weights, tokens),
      multiplies,
      /** By token the router's probabilities of all experts; null where it makes none. */
      scores: scores ? { kind: scores.kind, values: split(scores.values, tokens) } : null,
      /** By token the largest |a| of each chosen expert's intermediate state; null where that cannot be had. */
      largest: largest ? split(largest, tokens) : null,
      /** By expert the share of tokens that were sent to it: `chosen` in all. */
      load: [...loadOf(found)],
      /** Experts that got tokens on which massive activations arise in this block, which, and the most that each `made` of one. */
      massive: massiveByExpert(analysis, thresholds, block + 1).map(({ made = null, ...expert }) => ({
        ...expert,
        made,
      })),
    };
  });
}

/** [T, …] as rows. */
const split = (values: Float32Array | Int32Array, tokens: number): number[][] =>
  Array.from({ length: tokens }, (_, token) => {
    const width = values.length / tokens;
    return [...values.subarray(token * width, (token + 1) * width)];
  });

/** alpha as [heads][T]. */
function rows({ heads, tokens, alpha }: Pick<PatternStatistics, 'heads' | 'tokens' | 'alpha'>): number[][] {
  return Array.from({ length: heads }, (_, head) => [...alpha.subarray(head * tokens, (head + 1) * tokens)]);
}
