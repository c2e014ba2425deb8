/** Fine-tuning, held against PEFT and PyTorch's AdamW. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { FinetuneRequest } from '../../../src/engine/contract/finetune.js';
import type { EventOf } from '../../../src/engine/contract/protocol.js';
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
