import { type Analysis, emptyAnalysis, fold } from '../../../src/analysis/analysis.js';
import type { RunEvent } from '../../../src/engine/contract/events.js';
import type { HiddenStatistics, PatternStatistics } from '../../../src/statistics/statistics.js';

/** A hidden state of 12 tokens × 4 dims, of which only the largest entries and the median matter. */
export function hidden(median: number, ...top: [value: number, token: number, dim: number][]): HiddenStatistics {
  return {
    tokens: 12,
    dims: 4,
    top: top.map(([value, token, dim]) => ({ value, token, dim })),
    median,
    tokenNorm: new Float32Array(12).fill(2),
    tokenMax: new Float32Array(12).fill(1),
    tokenMaxDim: new Int32Array(12),
    dimMax: new Float32Array(4).fill(1),
    nonFinite: 0,
  };
}

/** A causal layer of 2 heads over 12 tokens with the given alphas and 0.05 elsewhere. */
export function pattern(alphas: [head: number, token: number, alpha: number][], extra?: number[]): PatternStatistics {
  const alpha = new Float32Array(24).fill(0.05);
  for (const [head, token, value] of alphas) alpha[head * 12 + token] = value;
  return {
    heads: 2,
    tokens: 12,
    alpha,
    causal: true,
    extra: extra ? { side: 'first', columns: 1, alpha: Float32Array.from(extra) } : undefined,
  };
}

const words = ['<|endoftext|>', 'S', 'ummer', ' is', ' warm', '.', '\n', 'Winter', ' is', ' cold', '.', '\n'];

export const begun: readonly RunEvent[] = [
  {
    type: 'started',
    model: {
      file: '/models/example/model.onnx',
      stream: 'text',
      streams: ['text'],
      name: 'example',
      layers: 2,
      hidden: 4,
      heads: 2,
      kvHeads: undefined,
      context: 512,
      vocabulary: 100,
      parallelBlock: false,
      bytes: 1234,
      attention: true,
      missing: [],
      remarks: [],
    },
    settings: { bos: true, graphOptimization: 'all', threads: 0 },
    inputs: [],
  },
  {
    type: 'tokens',
    tokens: words.map((text, i) => {
      const start = words.slice(1, Math.max(i, 1)).join('').length;
      return { id: i, text, start, end: i === 0 ? 0 : start + text.length, special: i === 0 };
    }),
    total: 11,
    window: { start: 0, end: 11 },
    source: 'text',
    tokenizer: true,
  },
];

/** A run of these layers and patterns, finished where `ended` is not given. */
export function run(
  layers: readonly HiddenStatistics[],
  attention: readonly PatternStatistics[] = [],
  ended: readonly RunEvent[] = [{ type: 'finished', seconds: 0.25, firstLayerSeconds: 0.125 }],
): Analysis {
  return [
    ...begun,
    ...layers.map((statistics, layer): RunEvent => ({ type: 'layer', layer, statistics })),
    ...attention.map((statistics, index): RunEvent => ({ type: 'attention', layer: index + 1, statistics })),
    ...ended,
  ].reduce(fold, emptyAnalysis);
}

/** One massive entry (layers 1 to 2) that is large at layer 0, one large dimension, one ordinary entry. */
export const layers = [
  hidden(0.01, [-1.5, 0, 3], [0.4, 5, 2]),
  hidden(1, [2084.4, 0, 3], [-309, 0, 1], [41, 5, 2]),
  hidden(2, [2100, 0, 3], [-310, 0, 1], [90, 5, 2]),
];
