/** An example of every question about a run, and of its answer. */
import type { AnswerTo, QuestionOf, QuestionType } from '../../src/engine/contract/questions.js';

export const questions: { readonly [T in QuestionType]: QuestionOf<T> } = {
  attribution: { type: 'attribution', token: 1, target: 7 },
  bias: { type: 'bias', layer: 1, tokens: [0] },
  contributions: { type: 'contributions', token: 0, dim: 1 },
  entries: { type: 'entries', layer: 0, of: 'nodes' },
  evicted: { type: 'evicted', layer: 1, windows: [{ window: 4, sinks: 1 }] },
  lens: { type: 'lens', layer: 0, point: 'resid_mid', top: 3 },
  magnitudes: { type: 'magnitudes', over: 'layers', at: 0, most: { rows: 256, columns: 512 } },
  output: { type: 'output' },
  pattern: { type: 'pattern', layer: 1, head: 0, cross: true },
  predictions: { type: 'predictions', token: 1 },
  saliency: { type: 'saliency', token: 1, next: 5 },
  surprisal: { type: 'surprisal' },
};

const update = { norm: 1, cosine: Number.NaN };

export const replies: { readonly [T in QuestionType]: AnswerTo<T> } = {
  attribution: {
    token: 1,
    target: { id: 7, text: 'b' },
    logit: 2.5,
    parts: [{ part: 'mlp', block: 1, logit: -1 }],
  },
  bias: {
    counted: { from: 1, queries: 4 },
    heads: [{ share: 0.5, chosen: update, rest: update }],
    projected: { chosen: update, rest: update },
    participation: { input: [1, 2], normed: [3, Number.NaN] },
    norms: { input: [1, 2], normed: [1, 2] },
    keyNorm: [[1, 2]],
    valueNorm: [[1, 2]],
  },
  contributions: {
    hidden: Float32Array.of(1, 2),
    parts: [
      {
        part: 'mlp',
        block: 1,
        added: 1,
        made: { weight: 'w', entries: [{ column: 3, read: 2, value: 0.5 }], rest: 0 },
      },
    ],
  },
  entries: { values: Float32Array.of(1) },
  evicted: { shares: [[0.5, 0.25]] },
  lens: { rows: [[{ id: 1, text: 'b', probability: 0.5 }]] },
  magnitudes: {
    rows: 1,
    columns: 2,
    pool: { rows: 1, columns: 3 },
    values: Float32Array.of(1, -2),
    places: Int32Array.of(0, 4),
  },
  output: { shape: [1, 2], values: Float32Array.of(1, 2) },
  pattern: { queries: 1, keys: 2, values: Float32Array.of(1, 2) },
  predictions: { type: 'predictions', token: 1, top: [{ id: 1, text: 'b', probability: 0.5 }] },
  saliency: {
    token: 1,
    next: { id: 5, text: 'b' },
    logit: 1.5,
    saliency: Float32Array.of(1, -2),
    remarks: ['rounding'],
  },
  surprisal: { nats: Float32Array.of(Number.NaN, 2.5) },
};
