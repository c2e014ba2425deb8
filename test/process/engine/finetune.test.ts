/** Fine-tuning, held against PEFT and PyTorch's AdamW. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FinetuneRequest } from '../../../src/engine/contract/finetune.js';
import type { EventOf } from '../../../src/engine/contract/protocol.js';
import { mean } from '../../../src/statistics/numbers.js';
import { openSafetensors } from '../../../src/statistics/safetensors.js';
import golden from '../../references/finetune.json' with { type: 'json' };
import { startEngine } from '../../support/engine.js';
import { root } from '../../support/files.js';
import { at } from '../../support/lists.js';

const engine = startEngine();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const model = join(root, 'media/models/llama/model.onnx');

const request = (given: Partial<FinetuneRequest>): FinetuneRequest => ({
  model,
  sequences: golden.windows,
  from: 1,
  steps: golden.qv.losses.length,
  batch: golden.batch,
  rate: golden.rate,
  rank: golden.rank,
  target: 'qv',
  seed: golden.seed,
  save: { file: join(folder, 'adapter_model.safetensors') },
  memory: 2 ** 31,
  threads: 1,
  ...given,
});

async function losses(given: Partial<FinetuneRequest>) {
  const steps: EventOf<'finetune'>[] = [];
  for await (const event of engine.run('finetune', request(given))) {
    if (event.type === 'failed') expect.fail(event.problem.message);
    if (event.type !== 'finetuned') steps.push(event);
  }
  return steps.flatMap((event) => (event.type === 'step' ? event.loss : []));
}

it('with MacDrop, losses and adapters of queries and values are PEFT’s', async () => {
  const own = await losses({ drop: golden.drop });
  for (const [step, loss] of golden.qv.losses.entries()) expect(at(own, step)).toBeCloseTo(loss, 3);
  // Of the same sequences with nothing dropped.
  expect(Math.abs(at(golden.qv.losses, 0) - at(golden.all.losses, 0))).toBeGreaterThan(0.1);
  const adapter = await openSafetensors(join(folder, 'adapter_model.safetensors'));
  expect([...adapter.names].sort()).toEqual(golden.qv.tensors.map(({ name }) => name).sort());
  for (const { name, shape, norm, first } of golden.qv.tensors) {
    const tensor = await adapter.tensor(name);
    expect(tensor.shape).toEqual(shape);
    const values = new Float32Array(tensor.bytes.buffer);
    expect(Math.hypot(...values) / norm).toBeCloseTo(1, 3);
    for (const [i, value] of first.entries()) expect(at([...values], i)).toBeCloseTo(value, 4);
  }
});

it('all products of the blocks, with sessions that do not last', async () => {
  const own = await losses({ target: 'all', steps: golden.all.losses.length, memory: 2 ** 25 });
  for (const [step, loss] of golden.all.losses.entries()) expect(at(own, step)).toBeCloseTo(loss, 3);
});

/** A small model with one product for queries, keys and values, and inputs for a cache. */
const packed = join(root, 'test/zoo/fixtures/gemma2-genai-fp32/model.onnx');
const sequence = [3, 10, 17, 24, 31, 38, 45, 52];
const small = { model: packed, sequences: [sequence], batch: 1, rate: 1e-2, rank: 2, target: 'all' } as const;

it('the merged model gives what the model gave with its adapters', async () => {
  const [, , after = Number.NaN] = await losses({ ...small, steps: 3 });
  await losses({ ...small, steps: 2 });
  const merged = join(folder, 'model.onnx');
  const sequences = [{ ids: sequence, from: 1, variants: [{ name: '', interventions: [] }] }];
  const found: number[] = [];
  for await (const event of engine.run('measure', { model: merged, sequences, memory: 2 ** 30, threads: 1 }))
    if (event.type === 'measured') found.push(mean([...event.losses]));
  expect(at(found, 0)).toBeCloseTo(after, 4);
});

describe('says what is in the way', async () => {
  const problemOf = async (given: Partial<FinetuneRequest>) => {
    for await (const event of engine.run('finetune', request({ ...small, steps: 2, ...given })))
      if (event.type === 'failed') return event.problem;
    return undefined;
  };
  const zoo = (name: string) => ({ model: join(root, 'test/zoo/fixtures', name, 'model.onnx') });

  it.each([
    [
      'weights of integers',
      { ...zoo('gpt2-int8-dynamic') },
      /can carry an adapter: of block 1 .*c_attn.* is quantised/,
    ],
    ['products inside an operator', { ...zoo('gpt2-ort-attention-past'), target: 'qv' }, /several products inside/],
    ['no head', zoo('vit-ort-fused'), /predicts no tokens/],
    ['tokens that are seen before they come', zoo('bert-ort-fused'), /does not predict the next one/],
    ['a rank that is too large', { rank: 1000 }, /A rank of 1000 .*choose one of at most \d+/],
    ['too little memory', { memory: 1 }, /A step holds \d+ MB/],
    ['a rate that breaks it', { rate: 1e30 }, /loss of step 2 is not a number any more.*after step 1 is in/],
    [
      'massive weights that are nowhere',
      { drop: { block: 9, dims: [0], probability: 1 } },
      /block 9 cannot be dropped/,
    ],
  ] as const)('%s', async (_, given, message) => {
    expect((await problemOf(given))?.message).toMatch(message);
  });

  it('a model that cannot be written, with the adapter kept', async () => {
    const other = join(folder, 'other');
    await mkdir(join(other, 'model.onnx'), { recursive: true });
    const problem = await problemOf({ save: { file: join(other, 'adapter_model.safetensors') } });
    expect(problem).toMatchObject({ code: 'save', file: join(other, 'model.onnx') });
    expect(problem?.message).toMatch(/model\.onnx cannot be written: .* The adapter after step 2 is in .*other\.$/);
    expect((await openSafetensors(join(other, 'adapter_model.safetensors'))).names).not.toHaveLength(0);
  });

  it('an adapter that cannot be written, with nothing left that would be half of one', async () => {
    const other = join(folder, 'blocked');
    const file = join(other, 'adapter_model.safetensors');
    await mkdir(file, { recursive: true });
    expect(await problemOf({ save: { file } })).toMatchObject({ code: 'save', file });
    expect(await readdir(other)).toEqual(['adapter_model.safetensors']);
  });
});
