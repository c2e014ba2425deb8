/** What is asked and said of gradients, for `messages.ts`. */
import type { EventOf, RequestOf } from '../../src/engine/contract/protocol.js';

const budget = { model: '/m', memory: 2 ** 30, threads: 0 };

const gradientsRequests: readonly RequestOf<'gradients'>[] = [
  {
    ...budget,
    stream: 'text',
    prompt: { text: 'a' },
    bos: true,
    lineEnds: 'as-is',
    window: 'last',
    of: { kind: 'loss' },
    save: { file: '/g' },
  },
  { ...budget, prompt: { ids: [1, 2] }, of: { kind: 'logit', id: 3, token: 1 } },
  { ...budget, prompt: { ids: [1, 2] }, of: { kind: 'hidden', layer: 1, token: 0, dim: 5 } },
  { ...budget, prompt: { ids: [1, 2] }, of: { kind: 'squares' } },
];

const gradientsExamples: readonly EventOf<'gradients'>[] = [
  { type: 'objective', value: 2.5, scored: 3 },
  { type: 'objective', value: 9, output: 'last_hidden_state' },
  { type: 'gradient', layer: 1, norms: Float32Array.of(1, 2), nonFinite: 0, stateNonFinite: 0, entry: 5 },
  {
    type: 'makers',
    layer: 1,
    entries: [{ part: 'mlp_out', weight: 'w', row: 1, column: 2, value: -2.5, product: 7 }],
  },
  { type: 'blocked', layer: 1, why: 'the operator X has no rule of differentiation' },
  { type: 'remark', text: 'rounding' },
];

const activationRequests: readonly RequestOf<'activation'>[] = [
  { ...budget, stream: 'text', sequences: [[1, 2]], against: [[3]], thresholds: [1e-6] },
];

const activationExamples: readonly EventOf<'activation'>[] = [
  { type: 'progress', from: 0, to: 1, done: 3, of: 12 },
  {
    type: 'activation',
    layer: 2,
    parameters: 10,
    mean: 1e-5,
    above: [0.5],
    similarity: 0.4,
    within: 0.5,
    between: 0.4,
  },
  { type: 'ended', layer: 1, why: 'the operator X has no rule of differentiation' },
];

const finetuneRequests: readonly RequestOf<'finetune'>[] = [
  {
    ...budget,
    stream: 'text',
    sequences: [[1, 2]],
    from: 1,
    steps: 3,
    batch: 2,
    rate: 1e-3,
    rank: 8,
    target: 'qv',
    drop: { block: 2, dims: [3], probability: 0.8 },
    seed: 0,
    save: { file: '/m/adapter/adapter_model.safetensors' },
  },
];

const finetuneExamples: readonly EventOf<'finetune'>[] = [
  {
    type: 'adapters',
    adapters: [{ block: 1, part: 'attn_in', module: 'blocks.0.attn.q', inputs: 4, outputs: 8 }],
    named: true,
    together: false,
    without: [{ block: 1, part: 'attn_in', name: 'v', why: 'its weight is quantised (MatMulNBits)' }],
  },
  { type: 'step', step: 1, loss: 3.5, probability: 0.8, saved: 0 },
];

const attributeRequests: readonly RequestOf<'attribute'>[] = [
  { ...budget, stream: 'text', clean: [1, 2], corrupt: [1, 3], answers: [4, 5], point: 'resid_mid', blocks: [1] },
];

const attributeExamples: readonly EventOf<'attribute'>[] = [
  { type: 'differences', clean: 1, corrupt: -1 },
  { type: 'attributed', block: 1, tokens: Float32Array.of(1, 2), dims: Float32Array.of(1, 2, 3) },
  { type: 'blocked', layer: 1, why: 'the operator X has no rule of differentiation' },
  { type: 'remark', text: 'rounding' },
];

export const backwardRequests = {
  gradients: gradientsRequests,
  activation: activationRequests,
  finetune: finetuneRequests,
  attribute: attributeRequests,
};
export const backwardEvents = {
  gradients: gradientsExamples,
  activation: activationExamples,
  finetune: finetuneExamples,
  attribute: attributeExamples,
};
export const backwardAnswers = {
  attribute: { type: 'done', seconds: 1 },
  gradients: { type: 'done', seconds: 1 },
  activation: { type: 'done', seconds: 1 },
  finetune: { type: 'finetuned', seconds: 1, model: '/m/adapter/model.onnx' },
} as const;
