/** One of every kind of message between engine and child, with every optional part there. */
import { defaultThresholds } from '../../src/analysis/thresholds.js';
import type { AnswerOf, EventOf, JobType, RequestOf } from '../../src/engine/contract/protocol.js';
import type { HiddenStatistics } from '../../src/statistics/statistics.js';
import { descriptionExamples } from './description.js';
import { generateExamples } from './generate.js';
import { backwardAnswers, backwardEvents, backwardRequests } from './gradients.js';
import { precisionExamples, spikesExamples } from './precision.js';
import { routingExample } from './routing.js';

import { statesAsked, statesExamples } from './states.js';
import { streamingExamples } from './streaming.js';

import { mergeExamples } from './survey.js';

/** Of attention, beside where its pattern is. */
const attending = {
  weighting: 'softmax',
  output: 'o',
  normed: 'n',
  keys: 'k',
  values: 'v',
  weighed: 'w',
  projected: 'p',
  edges: 'g',
  heads: 2,
  kvHeads: 1,
  headDim: 2,
} as const;

const hidden: HiddenStatistics = {
  tokens: 2,
  dims: 3,
  top: [{ value: -7.5, token: 0, dim: 2 }],
  median: Number.NaN,
  tokenNorm: Float32Array.of(1, 2),
  tokenMax: Float32Array.of(1, 2),
  tokenMaxDim: Int32Array.of(2, 0),
  dimMax: Float32Array.of(1, 2, Number.POSITIVE_INFINITY),
  nonFinite: 1,
};

const model = {
  file: '/m/model.onnx',
  name: 'm',
  stream: 'decoder',
  streams: ['decoder', 'encoder'],
  layers: 1,
  hidden: 3,
  heads: 2,
  kvHeads: 1,
  context: 16,
  vocabulary: 100,
  parallelBlock: false,
  bytes: 1e9,
  attention: true,
  missing: ['final norm: none'],
  remarks: ['repeatability: 1 nodes draw at random'],
};

const [memory, threads] = [1e9, 0];
const budget = { model: '/m/model.onnx', memory, threads };

const execution = { graphOptimization: 'all', threads } as const;
const region = { x: -1.5, y: 0, width: 2, height: 2 };

const set = [
  { to: 'zero' },
  { to: 'value', value: [1, 2] },
  { to: 'scale', by: 2 },
  { to: 'noise', deviation: 1, seed: 3 },
] as const;
const interventions = set.map((one) => ({
  point: 'resid_mid' as const,
  block: 1,
  tokens: 'all' as const,
  dims: { except: [2] },
  set: one,
}));

const run = { ...budget, bos: true, window: { start: 3 }, interventions, attention: true } as const;

export const requests: { readonly [T in JobType]: readonly RequestOf<T>[] } = {
  analyze: [
    { ...run, prompt: { text: 'Summer is warm.' }, save: { file: '/s', attention: true, mlp: false, logits: true } },
    { ...run, stream: 'decoder', prompt: { ids: [1, 2] }, window: 'last', live: true },
    { ...run, prompt: { feeds: '/f.npz', tokenName: 'node', tokenAxis: 1 } },
    { ...budget, prompt: { image: '/i.png' }, attention: false },
  ],
  measure: [
    {
      ...budget,
      stream: 'text',
      sequences: [
        {
          ids: [1, 2, 3],
          from: 1,
          variants: [
            {
              name: 'as is',
              interventions,
              patches: [{ point: 'z', block: 1, tokens: 'all', dims: [0] }],
              attention: { window: 4, sinks: 1 },
            },
          ],
          other: [1, 2, 4],
          answers: [5, 6],
        },
      ],
    },
  ],
  states: [{ ...budget, ...statesAsked }],
  pair: [
    { reference: '/r', by: { what: 'file', model: '/m' }, sequences: [{ ids: [1, 2], from: 1 }], memory, threads },
  ],
  restore: [
    {
      reference: '/r',
      by: { what: 'scheme', scheme: 'int8-dynamic' },
      sequences: [{ ids: [1, 2], from: 1 }],
      variants: [[0, 1]],
      memory,
      threads,
    },
  ],
  extents: [{ ...budget, sequences: [{ ids: [1, 2], without: [0] }], weights: true }],
  treat: [
    {
      reference: '/r',
      treatments: [
        { by: { what: 'scheme', scheme: 'int8-static', ranges: [{ tensor: 'x', min: -1, max: 2 }] }, exclude: [0] },
        { by: { what: 'scheme', scheme: 'fp8' }, smooth: [{ tensor: 'x', factors: Float32Array.of(1, 2) }] },
      ],
      sequences: [{ ids: [1, 2], from: 1, lead: [3], kept: [0] }],
      memory,
      threads,
    },
  ],
  smooth: [{ ...budget, smooth: [{ tensor: 'x', factors: Float32Array.of(1, 2) }], save: { file: '/s.onnx' } }],
  generate: [
    {
      ...budget,
      stream: 'text',
      prompt: { text: 'a' },
      bos: true,
      lineEnds: 'lf',
      window: 'last',
      tokens: 3,
      sampling: { temperature: 0.5, topK: 5, topP: 0.9, seed: 1 },
      untilEnd: true,
      sinks: { epsilon: 0.3, minQueries: 8, minShare: 0.1 },
    },
  ],
  spikes: [{ ...budget, stream: 'text', ids: [1, 2], without: [{ block: 1, row: 2, column: 3 }] }],
  precision: [{ ...budget, stream: 'text', ids: [1, 2], outlier: 6 }],
  ...backwardRequests,
  rolling: [{ ...budget, ...streamingExamples.request }],
  merge: [{ parts: ['/a.json'] }],
  result: [{ file: '/r.sinkscope.json' }],
  saved: [{ file: '/r.sinkscope.json', question: { type: 'pattern', layer: 1, head: 0, cross: true } }],
  records: [{ file: '/f.parquet', column: 'text', from: 3 }],
  encode: [{ model: '/m', stream: 'text', text: 'a', bos: false, lineEnds: 'as-is', chat: { system: 's' }, most: 7 }],
  decode: [{ model: '/m', ids: [1, 2] }],
  inspect: [{ model: '/m', stream: 'text', takes: 'text' }],
  describe: [{ model: '/m', stream: 'text' }],
  weight: [{ model: '/m', name: 'w' }],
  identity: [{ model: '/m' }],
  sameWeights: [{ model: '/m', other: '/n' }],
  query: [{ type: 'predictions', token: 1 }],
};

const silent = { result: [], saved: [], records: [], encode: [], decode: [], smooth: [], inspect: [] };
const answered = { describe: [], weight: [], identity: [], sameWeights: [], query: [] };

export const events: { readonly [T in JobType]: readonly EventOf<T>[] } = {
  analyze: [
    {
      type: 'started',
      model,
      settings: { bos: true, lineEnds: 'lf', chat: 'on', ...execution },
      inputs: [{ name: 'bbox', role: 'coordinates', how: 'zeros', guessed: true }],
    },
    {
      type: 'device',
      asked: 'auto',
      provider: 'webgpu',
      why: 'w',
      proof: { difference: 1e-7, tolerance: 1e-4, elsewhere: ['Trilu'] },
    },
    {
      type: 'tokens',
      tokens: [{ id: 1, text: 'a', start: 0, end: 1, special: false, role: 'user', region }],
      total: 1,
      window: { start: 0, end: 1 },
      source: 'image',
      picture: { file: '/i.png', width: 2, height: 2 },
      tokenizer: false,
    },
    { type: 'layer', layer: 0, statistics: hidden },
    {
      type: 'attention',
      layer: 1,
      statistics: {
        heads: 2,
        tokens: 2,
        alpha: Float32Array.of(1, 2, 3, 4),
        causal: true,
        extra: { side: 'first', columns: 1, alpha: Float32Array.of(1, 2) },
      },
    },
    {
      type: 'routing',
      layer: 1,
      found: routingExample,
    },
    { type: 'routing', layer: 1, found: { why: 'its weights are [3]' } },
    {
      type: 'cross-attention',
      layer: 1,
      statistics: { heads: 2, tokens: 2, positions: 3, alpha: Float32Array.of(1, 2, 3, 4, 5, 6) },
    },
    { type: 'predictions', token: 0, top: [{ id: 1, text: 'b', probability: 0.5 }] },
    {
      type: 'outputs',
      outputs: [
        {
          name: 'logits',
          shape: [1, 2, 3],
          kind: 'classes',
          how: 'by its name',
          rows: [{ token: 1, norm: 1.5, top: [{ index: 2, label: 'PER', value: -1, probability: 0.5 }] }],
        },
      ],
    },
  ],
  measure: [
    { type: 'progress', from: 0, to: 8, done: 3, of: 12 },
    { type: 'measured', sequence: 0, variant: 0, losses: Float32Array.of(1, 2), difference: 0.5 },
  ],
  states: statesExamples(hidden),
  generate: generateExamples(hidden),
  rolling: streamingExamples.events,
  spikes: spikesExamples,
  pair: [
    { type: 'progress', from: 0, to: 8, done: 3, of: 12 },
    { type: 'compared', block: 1, signal: 9, cumulative: 0.1, local: Number.NaN },
    {
      type: 'paired',
      sequence: 0,
      losses: { reference: Float32Array.of(1, 2), model: Float32Array.of(1, 3) },
      kld: Float32Array.of(0.1, 0.2),
      same: Uint8Array.of(1, 0),
      change: Float32Array.of(0.1, -0.2),
      swaps: [{ alone: 0.1, restored: 0 }],
    },
  ],
  restore: [
    { type: 'progress', from: 0, to: 8, done: 3, of: 12 },
    {
      type: 'products',
      products: [
        { block: 1, part: 'mlp_in', node: '/up', op: 'MatMul', weights: ['up.weight'], elements: 6, bytes: 24 },
      ],
      without: 1,
      kinds: ['Gemm'],
      computed: 1,
      saturating: true,
    },
    { type: 'restored', sequence: 0, tokens: 2, kld: [0.1, Number.NaN], losses: [1, 2] },
    { type: 'noises', sequence: 0, left: [0.1, Number.NaN], whole: [1, Number.POSITIVE_INFINITY] },
  ],
  extents: [
    { type: 'progress', from: 0, to: 8, done: 3, of: 12 },
    { type: 'outliers', sequence: 0, blocks: [{ block: 1, tokens: [0] }] },
    {
      type: 'extents',
      ranges: [{ tensor: 'x', min: -1, max: 2 }],
      inputs: [
        {
          tensor: 'x',
          block: 1,
          foldable: true,
          dimMin: Float32Array.of(-1, 0),
          dimMax: Float32Array.of(1, 2),
          weightMax: Float32Array.of(),
        },
      ],
    },
  ],
  treat: [
    { type: 'progress', from: 0, to: 8, done: 3, of: 12 },
    { type: 'treated', sequence: 0, tokens: 2, kld: [0.1, Number.NaN], losses: [1, 2] },
  ],
  precision: precisionExamples,
  ...backwardEvents,
  merge: mergeExamples,
  ...silent,
  ...answered,
};

export const answers: { readonly [T in Exclude<JobType, 'query' | 'saved'>]: AnswerOf<T> } = {
  analyze: { type: 'finished', seconds: 1, firstLayerSeconds: 0.5, saved: '/s', reused: { tokens: 3, without: 'w' } },
  measure: { type: 'done', seconds: 1 },
  states: { type: 'done', seconds: 1 },
  generate: {
    type: 'generated',
    seconds: 1,
    text: 'b c',
    ended: 'context',
    cache: { tokens: 2, bytes: 64, without: 'it is full' },
  },
  spikes: { type: 'done', seconds: 1 },
  pair: { type: 'done', seconds: 1 },
  restore: { type: 'done', seconds: 1 },
  extents: { type: 'done', seconds: 1 },
  treat: { type: 'done', seconds: 1 },
  smooth: { type: 'done', seconds: 1 },
  precision: { type: 'done', seconds: 1 },
  rolling: { type: 'done', seconds: 1 },
  ...backwardAnswers,
  merge: { type: 'done', seconds: 1 },
  result: { type: 'result', thresholds: defaultThresholds, finished: undefined, tensors: 'r.safetensors' },
  records: { texts: ['a', null], rows: 5, column: 'text' },
  encode: { ids: Int32Array.of(1, 2), prefix: 0, lost: 1 },
  decode: ['a', 'b'],
  ...descriptionExamples,
  inspect: {
    model,
    streams: [{ name: 'decoder', layers: 1, hidden: 3, heads: 2, inputs: ['ids'], outputs: ['l'] }],
    producer: 'pytorch',
    opsets: [['', 17]],
    nodes: 9,
    weights: ['/m', '/m.data'],
    anatomy: {
      layers: 1,
      hidden: 3,
      heads: 2,
      kvHeads: 1,
      headDim: 2,
      mlpHidden: 6,
      vocabulary: 100,
      context: 16,
      patch: { height: 4, width: 4 },
      copies: false,
      rows: { kind: 'inputs', names: ['states', 'actions'], inTurn: true },
      headRows: { from: 2, to: undefined },
      turns: [{ value: 'h_0', axis: 1, rank: 4 }],
      parallelBlock: false,
      source: 's',
      embedding: 'e',
      blocks: [
        {
          residPost: 'h1',
          residMid: 'm1',
          attention: {
            pattern: { from: 'rebuilt', operator: 'com.microsoft.Attention', node: 'n' },
            ...attending,
          },
          cross: {
            pattern: { from: 'graph', tensor: 'x' },
            ...attending,
          },
          routing: {
            experts: 4,
            chosen: 2,
            from: { from: 'graph', indices: 'i', weights: 'w', scores: 's' },
            multiplies: 'outputs',
            intermediate: 'a',
            shared: true,
          },
          mlpIntermediate: 'i',
          mlpOutput: 'o',
          additive: true,
          mixedKeys: false,
        },
      ],
      finalNorm: { output: 'f' },
      unembedding: { input: 'f', logits: 'l' },
      output: 'l',
      outputs: [{ name: 'l', columns: 3, made: 'unit' }],
      inputs: [
        {
          name: 'ids',
          role: 'token-ids',
          type: 7,
          shape: [1, 'T', null],
          tokenAxis: 1,
          extents: { 2: 64 },
          along: 'encoder_ids',
          keeps: 1,
          how: 'indices',
          guessed: true,
        },
      ],
      missing: [{ part: 'final norm', why: 'none' }],
    },
  },
  identity: '00ff',
  sameWeights: true,
};
