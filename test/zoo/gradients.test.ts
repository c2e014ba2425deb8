/** Gradients of real exporters' files, held against PyTorch's autograd over the same graphs in double precision. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/host/engine.js';
import { makeEngine, readFloats } from '../support/engine.js';
import { root, temporaryFolder } from '../support/files.js';
import { at } from '../support/lists.js';
import { fixture, folders, promptOf } from './known.js';
import { scrambledFile } from './scramble.js';

interface Golden {
  readonly of: 'loss' | 'squares';
  readonly value: number;
  /** By layer and token, of dL/dh_k: its length, and the sum of its entries times cos(1), cos(2), … */
  readonly norm: readonly (readonly number[])[];
  readonly projection: readonly (readonly number[])[];
}

const golden: Readonly<Record<string, Golden>> = JSON.parse(
  await readFile(join(root, 'test/references/autograd.json'), 'utf8'),
);
/** Of each way to write a model one; all that have a golden are tried with `SINKSCOPE_GRADIENTS=all`. */
const share = new Set([
  'bert-ort-fused',
  'bloom-optimum-past',
  'dinov2_with_registers-dynamo-op18',
  'falcon-dynamo-op18',
  'gemma2-genai-fp32',
  'gpt2-fp16-converted',
  'gpt2-ort-attention-past',
  'gpt_oss-dynamo-op18',
  'llama-dynamo-op23',
  'llama-ort-fused',
  'mixtral-dynamo-op18',
  'phi3-ts-op17',
  'qwen3-genai-fp32',
  'vit-ort-fused',
  'deberta-v2-fused',
  'deepseek_v3-ts-op17',
  'experts-einsum-ts-op17',
  'jamba-ts-op17',
  'operator-gqa-packed-rotary',
  'operator-gqa-window-cache',
  'res-canon-ts17',
  'towers-t5-ts17-decoder',
  'module-skips-ts-op17',
  'variant-transposed-ts-op17',
  'llama-qdq-weights',
  'llama-tfjs-q4',
  'llama-int8-dynamic',
]);
/** Activations are rounded: what is nearly between two steps goes to either, in single precision and in double. */
const rounding = new Set(['llama-int8-dynamic']);
const isTried = (name: string) => process.env.SINKSCOPE_GRADIENTS === 'all' || share.has(name);
const saved = temporaryFolder();
let engine: Engine;
beforeAll(() => {
  engine = makeEngine();
});
afterAll(() => engine.dispose());

const known = folders.flatMap((folder) => {
  const name = folder.split(/[\\/]/).at(-1) ?? '';
  const wanted = golden[name];
  return wanted && isTried(name) ? [[name, folder, wanted] as const] : [];
});

describe.each(known)('%s', (name, folder, wanted) => {
  it('has the gradients that autograd gives', () => expectGolden(name, folder, wanted, join(folder, 'model.onnx')));
});

/** Of each way to write a block one that is recognised by other marks. */
const renamed = new Set([
  'bloom-optimum-past',
  'falcon-dynamo-op18',
  'gemma2-genai-fp32',
  'gpt2-ort-attention-past',
  'llama-dynamo-op23',
  'llama-qdq-weights',
  'mixtral-dynamo-op18',
  'phi3-ts-op17',
  'towers-t5-ts17-decoder',
  'vit-ort-fused',
]);

describe.each(known.filter(([name]) => renamed.has(name)))('%s', (name, folder, wanted) => {
  it('has them under other names, in another order and without shapes as well', async () => {
    const model = await scrambledFile(folder, join(await saved, name), folders.indexOf(folder));
    await expectGolden(name, folder, wanted, model);
  });
});

async function expectGolden(name: string, folder: string, wanted: Golden, model: string) {
  const facts = await fixture(folder);
  const file = join(await saved, `${name}.safetensors`);
  let value = Number.NaN;
  const run = engine.run('gradients', {
    model,
    stream: facts.stream,
    prompt: promptOf(folder, facts),
    of: { kind: wanted.of },
    memory: 2 ** 31,
    threads: 1,
    save: { file },
  });
  for await (const event of run) {
    if (event.type === 'failed') expect.fail(event.problem.message);
    if (event.type === 'blocked') expect.fail(event.why);
    if (event.type === 'objective') value = event.value;
  }
  const tolerance = rounding.has(name) ? 2e-2 : 1e-4;
  expect(Math.abs(value / wanted.value - 1)).toBeLessThan(tolerance);
  for (const [layer, norms] of wanted.norm.entries()) {
    const { shape, values } = await readFloats(file, `grad.hidden.${layer}`);
    const [tokens, dims = 0] = shape;
    expect(tokens).toBe(norms.length);
    const scale = tolerance * Math.max(...norms);
    for (const [token, norm] of norms.entries()) {
      const row = values.subarray(token * dims, (token + 1) * dims);
      const projection = row.reduce((sum, entry, dim) => sum + entry * Math.cos(dim + 1), 0);
      expect(Math.abs(Math.hypot(...row) - norm)).toBeLessThan(scale);
      expect(Math.abs(projection - at(at(wanted.projection, layer), token))).toBeLessThan(scale);
    }
  }
}

it('are refused where the stream is kept in copies', async () => {
  const folder = folders.find((one) => one.endsWith('altup-ts17')) ?? '';
  const facts = await fixture(folder);
  const prompt = promptOf(folder, facts);
  const asked = {
    model: join(folder, 'model.onnx'),
    prompt,
    of: { kind: 'loss' },
    memory: 2 ** 31,
    threads: 1,
  } as const;
  const said: string[] = [];
  for await (const event of engine.run('gradients', asked)) {
    if (event.type === 'failed') said.push(event.problem.message);
    expect(event.type).not.toBe('objective');
  }
  expect(said).toEqual([expect.stringMatching(/keeps several copies of its residual stream/)]);
});
