/** Fine-tuning, held against PEFT and PyTorch's AdamW. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
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

it('losses and adapters are PEFT’s', async () => {
  const own = await losses({});
  for (const [step, loss] of golden.qv.losses.entries()) expect(at(own, step)).toBeCloseTo(loss, 3);
  const adapter = await openSafetensors(join(folder, 'adapter_model.safetensors'));
  expect([...adapter.names].sort()).toEqual(golden.qv.tensors.map(({ name }) => name).sort());
  for (const { name, shape, norm, first } of golden.qv.tensors) {
    const { bytes, shape: own } = await adapter.tensor(name);
    expect(own).toEqual(shape);
    const values = new Float32Array(bytes.buffer);
    expect(Math.hypot(...values) / norm).toBeCloseTo(1, 3);
    for (const [i, value] of first.entries()) expect(at([...values], i)).toBeCloseTo(value, 4);
  }
  const config = JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8'));
  expect(config).toMatchObject({ peft_type: 'LORA', r: golden.rank, lora_alpha: 2 * golden.rank });
});

it('what MacDrop drops is dropped in PyTorch as well', async () => {
  const own = await losses({ drop: golden.drop });
  for (const [step, loss] of golden.macdrop.losses.entries()) expect(at(own, step)).toBeCloseTo(loss, 3);
  // Block by block, and without sessions that last: the budget decides how, not what.
  expect(at(golden.macdrop.losses, 0) - at(golden.qv.losses, 0)).toBeGreaterThan(0.5);
});

it('all products of the blocks, with sessions that do not last', async () => {
  const own = await losses({ target: 'all', steps: golden.all.losses.length, memory: 2 ** 25 });
  for (const [step, loss] of golden.all.losses.entries()) expect(at(own, step)).toBeCloseTo(loss, 3);
});
