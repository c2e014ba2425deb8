/** What is asked and said of gradients, for `messages.ts`. */
import type { EventOf, RequestOf } from '../../src/engine/contract/protocol.js';

const budget = { model: '/m', memory: 2 ** 30, threads: 0 };

export const gradientsRequests: readonly RequestOf<'gradients'>[] = [
  {
    ...budget,
    stream: 'text',
    prompt: { text: 'a' },
    bos: true,
    window: 'last',
    of: { kind: 'loss' },
    save: { file: '/g' },
  },
  { ...budget, prompt: { ids: [1, 2] }, of: { kind: 'logit', id: 3, token: 1 } },
  { ...budget, prompt: { ids: [1, 2] }, of: { kind: 'hidden', layer: 1, token: 0, dim: 5 } },
  { ...budget, prompt: { ids: [1, 2] }, of: { kind: 'squares' } },
];

export const gradientsExamples: readonly EventOf<'gradients'>[] = [
  { type: 'objective', value: 2.5, scored: 3 },
  { type: 'gradient', layer: 1, norms: Float32Array.of(1, 2), nonFinite: 0 },
  { type: 'blocked', layer: 1, why: 'the operator X has no rule of differentiation' },
  { type: 'remark', text: 'rounding' },
];
