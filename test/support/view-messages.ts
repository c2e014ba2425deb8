/** One of every kind of message between host and webview, with every optional part there. */
import type { Presentation } from '../../src/analysis/presentation.js';
import type { Problem } from '../../src/errors.js';
import type { Asked, ExperimentRun, FromWebview, ReplyTo, ToWebview } from '../../src/protocol.js';
import { answers, events } from './messages.js';
import { replies } from './question-messages.js';

const problem: Problem = {
  code: 'too-long',
  message: 'Too long.',
  file: '/f',
  detail: 'd',
  limit: { tokens: 2, context: 1 },
  axes: [2, 3],
};

const column = { name: 'x', format: 'ratio' } as const;
const axis = { name: 'layer', labels: ['1'], leads: { to: 'layer', values: [1] } } as const;
const presentation: Presentation = {
  title: 'Lens',
  sentence: 'It is so.',
  settings: [{ name: 'T', value: '4' }],
  warnings: ['but'],
  parts: [
    { kind: 'table', heading: 'a', columns: [column], rows: [['b', 1, null]] },
    {
      kind: 'bars',
      heading: 'a',
      value: column,
      log: false,
      reference: 1,
      bars: [{ name: 'b', value: Number.NaN, interval: [0, 1] }],
    },
    {
      kind: 'lines',
      heading: 'a',
      x: { name: 'x', values: [1, 2] },
      y: { ...column, log: true },
      lines: [{ name: 'b', values: [1, null] }],
    },
    {
      kind: 'heatmap',
      heading: 'a',
      rows: axis,
      columns: axis,
      value: column,
      scale: 'diverging',
      range: [-1, 1],
      values: [null],
      texts: ['b'],
      notes: ['c'],
    },
    { kind: 'text', heading: 'a', paragraphs: ['b'] },
  ],
};

const experiment: ExperimentRun = {
  number: 1,
  experiment: 'lens',
  title: 'Lens',
  status: 'failed',
  progress: { done: 1, of: 2, text: 'running 1 of 2' },
  presentation,
  problem,
};

export const toWebview: readonly ToWebview[] = [
  {
    type: 'view',
    state: {
      document: 'a.md',
      scope: 'selection',
      models: [{ file: '/m', name: 'm', origin: 'bundled' }],
      model: '/m',
      context: 512,
      bos: 'auto',
      tint: 'all',
      thresholds: { absolute: 100, ratio: 1000, soft: 100, epsilon: 0.3, minQueries: 8, minShare: 0.1 },
      stale: 'choice',
      trouble: problem,
      live: 'Live: what is shown follows the text as you type.',
      watched: { name: 'm', problem: 'b' },
      tensors: 'saved.safetensors',
      pinned: 'other',
    },
  },
  { type: 'replay', run: 1, events: [...events.analyze, answers.analyze, { type: 'failed', problem }] },
  { type: 'event', run: 1, index: 0, event: answers.analyze },
  { type: 'selection', selection: { token: 1, layer: 2, dim: 3, head: 0 } },
  { type: 'against', before: { name: 'a', pinned: true, events: [answers.analyze] } },
  { type: 'answer', id: 0, answer: { ok: false, problem } },
  {
    type: 'experiments',
    message: {
      kind: 'choices',
      experiments: [],
      texts: { documents: { open: 'a', analysed: 'b' }, chosen: { c: 'd' } },
    },
  },
  { type: 'experiments', message: { kind: 'runs', runs: [experiment] } },
  { type: 'experiments', message: { kind: 'run', run: experiment } },
  {
    type: 'model',
    state: {
      file: '/m',
      shown: { name: 'a/m', about: { status: 'read', description: answers.describe } },
      other: { name: 'b/m', about: { status: 'failed', problem } },
    },
  },
];

export const fromWebview: readonly FromWebview[] = [
  { type: 'ready' },
  { type: 'select', selection: { token: 1, layer: 2, dim: 3, head: 0 } },
  { type: 'stop' },
  { type: 'analyze-again', stream: 'encoder' },
  { type: 'pin', on: true },
  { type: 'unwatch' },
  { type: 'choose-model', file: '/m' },
  { type: 'choose-bos', bos: 'on' },
  { type: 'query', id: 1, query: { type: 'pattern', layer: 1, head: 0 } },
  { type: 'query', id: 1, query: { type: 'magnitudes', over: 'tokens', at: 2, most: { rows: 1, columns: 2 } } },
  { type: 'query', id: 1, query: { type: 'predictions', token: 0 } },
  { type: 'query', id: 1, query: { type: 'picture' } },
  { type: 'open-settings' },
  { type: 'choose-tint', tint: 'off' },
  { type: 'try-sample' },
  { type: 'help', name: 'chooseModel' },
  { type: 'save', what: 'json' },
  { type: 'save-file', name: 'heatmap', kind: 'svg', bytes: Uint8Array.of(1, 2) },
  { type: 'copy', text: 'a' },
  { type: 'save-report' },
  {
    type: 'experiment',
    action: { do: 'run', experiment: 'lens', values: { a: 'b', c: 1.5, d: true, e: ['f'] } },
  },
  { type: 'experiment', action: { do: 'stop' } },
  { type: 'experiment', action: { do: 'read', experiment: 'perplexity' } },
  { type: 'experiment', action: { do: 'close', run: 1 } },
  { type: 'experiment', action: { do: 'choose-text', experiment: 'lens', input: 'text' } },
  { type: 'experiment', action: { do: 'save-json', run: 1 } },
  { type: 'experiment', action: { do: 'save-file', run: 1 } },
  { type: 'query', id: 1, query: { type: 'weight', name: 'w', of: 'other' } },
  { type: 'model', action: { do: 'try', text: 'Summer', stream: 'encoder' } },
  { type: 'model', action: { do: 'stream', stream: 'encoder' } },
  ...(['compare', 'compare-end', 'read-again', 'choose', 'trust', 'show-panel'] as const).map(
    (what): FromWebview => ({ type: 'model', action: { do: what } }),
  ),
];

export const viewReplies: { readonly [T in Asked['type']]: ReplyTo<T> } = {
  magnitudes: replies.magnitudes,
  pattern: replies.pattern,
  predictions: replies.predictions,
  saliency: replies.saliency,
  surprisal: replies.surprisal,
  picture: { bytes: Uint8Array.of(1, 2) },
  weight: answers.weight,
};
