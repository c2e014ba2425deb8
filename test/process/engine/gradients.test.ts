/** The way back through a model, held against PyTorch's autograd. */
import { copyFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunRequest } from '../../../src/engine/contract/events.js';
import type { Objective } from '../../../src/engine/contract/gradients.js';
import { loadModel } from '../../../src/engine/stages/loaded.js';
import { finish } from '../../../src/experiments/experiment.js';
import { gradientsConclusion, takeGradients } from '../../../src/experiments/gradients/compute.js';
import { encodeModel } from '../../../src/onnx/encode.js';
import { readModel } from '../../../src/onnx/read.js';
import golden from '../../references/gradients.json' with { type: 'json' };
import { readFloats, relativeError, startEngine } from '../../support/engine.js';
import { fixture, root, temporaryFolder } from '../../support/files.js';
import { at } from '../../support/lists.js';

const engine = startEngine();
const folder = temporaryFolder();

async function gradients(model: string, prompt: RunRequest['prompt'], of: Objective, file?: string) {
  const norms = new Map<number, Float32Array>();
  const said: string[] = [];
  let value = Number.NaN;
  let scored: number | undefined;
  let nonFinite = 0;
  const save = file === undefined ? {} : { save: { file } };
  for await (const event of engine.run('gradients', { model, prompt, of, memory: 2 ** 31, threads: 1, ...save })) {
    if (event.type === 'failed') return { norms, said: [event.problem.message], value, scored, nonFinite };
    if (event.type === 'objective') ({ value, scored } = event);
    if (event.type === 'blocked') said.push(`before ${event.layer}: ${event.why}`);
    if (event.type === 'remark') said.push(event.text);
    if (event.type !== 'gradient') continue;
    norms.set(event.layer, event.norms);
    nonFinite += event.nonFinite;
  }
  return { norms, said, value, scored, nonFinite };
}

describe.each(Object.entries(golden))('%s', (name, wanted) => {
  it('has the gradients of its loss that autograd gives', async () => {
    const file = join(await folder, `${name}.safetensors`);
    const model = join(root, 'media/models', name, 'model.onnx');
    const { norms, value, scored, said } = await gradients(model, { ids: wanted.ids }, { kind: 'loss' }, file);
    expect(said).toEqual([]);
    expect(value).toBeCloseTo(wanted.loss, 4);
    expect(scored).toBe(wanted.ids.length - 1);
    expect(norms.size).toBe(wanted.norm.length);
    for (const [layer, own] of wanted.norm.entries()) {
      expect(relativeError(norms.get(layer) ?? new Float32Array(), Float32Array.from(own))).toBeLessThan(1e-4);
      const { shape, values } = await readFloats(file, `grad.hidden.${layer}`);
      const [tokens = 0, dims = 0] = shape;
      expect(tokens).toBe(wanted.ids.length);
      const first = Array.from({ length: tokens }, (_, token) => [...values.slice(token * dims, token * dims + 8)]);
      for (const [i, one] of first.flat().entries())
        expect(Math.abs(one - at(at(wanted.first, layer), i))).toBeLessThan(1e-4 * at(wanted.largest, layer));
    }
  });
});

it('an entry of a hidden state is 1 by itself, and depends on nothing after it', async () => {
  const model = join(root, 'media/models/llama/model.onnx');
  const { norms, value } = await gradients(
    model,
    { ids: [0, 52, 6430] },
    { kind: 'hidden', layer: 4, token: 1, dim: 7 },
  );
  expect(Number.isFinite(value)).toBe(true);
  expect([...norms.keys()]).toEqual([4, 3, 2, 1, 0]);
  expect([...(norms.get(4) ?? [])]).toEqual([0, 1, 0]);
  expect(norms.get(0)?.[0]).toBeGreaterThan(0);
  expect(norms.get(0)?.[2]).toBe(0);
});

describe('what cannot be had is said', () => {
  it.each([
    ['a loss without a head', 'gnn-ts-op17', { kind: 'loss' }, /predicts no tokens.*--of squares/],
    [
      'an operator without a rule',
      '../families/experts-moe-ts-op17',
      { kind: 'loss' },
      /before 2: the operator com\.microsoft\.MoE cannot be differentiated: it chooses experts/,
    ],
    [
      'a layer that is not there',
      'llama-ts-op17-sdpa',
      { kind: 'hidden', layer: 9, token: 0, dim: 0 },
      /There is no layer 9/,
    ],
    [
      'a dim that is not there',
      'llama-ts-op17-sdpa',
      { kind: 'hidden', layer: 1, token: 0, dim: 99_999 },
      /^There is no entry 99999: there are \d+ for each token, 0 to \d+\.$/,
    ],
    [
      'a token id above the vocabulary',
      'llama-ts-op17-sdpa',
      { kind: 'logit', id: 999_999, token: 0 },
      /^There is no entry 999999: there are \d+ for each token, 0 to \d+\.$/,
    ],
    [
      'a token behind the last',
      'llama-ts-op17-sdpa',
      { kind: 'hidden', layer: 1, token: 99, dim: 0 },
      /^There is no token 99 here: they are 0 to \d+\.$/,
    ],
    ['rounding', 'llama-int8-dynamic', { kind: 'loss' }, /straight-through/],
  ] satisfies [string, string, Objective, RegExp][])('%s', async (_, name, of, sentence) => {
    const { model, golden: feeds } = fixture(name);
    const { said } = await gradients(model, { feeds }, of);
    expect(said.join(' ')).toMatch(sentence);
  });

  it('what comes after an operator without a rule still works', async () => {
    const { model, golden: feeds } = fixture('../families/experts-moe-ts-op17');
    const { norms } = await gradients(model, { feeds }, { kind: 'loss' });
    expect([...norms.keys()]).toEqual([2]);
  });

  it('where numbers begin to be none, on the way back or there', async () => {
    const { model, golden: feeds } = fixture('llama-ts-op17-sdpa');
    const { anatomy } = loadModel(model, undefined);
    const read = readModel(model);
    const value = anatomy.blocks[1]?.mlpOutput ?? '';
    /** The branch with nothing added to it, which is computed by an operator on zeros. */
    const withZero = async (op: string) => {
      const node = (op: string, inputs: string[], output: string) => ({
        name: '',
        op,
        domain: '',
        inputs,
        outputs: [output],
        attributes: new Map(),
      });
      const nodes = read.graph.nodes.flatMap((one) =>
        one.outputs[0] === value
          ? [
              { ...one, outputs: ['branch'] },
              node('Sub', ['branch', 'branch'], 'zero'),
              node(op, ['zero'], 'made'),
              node('Add', ['branch', 'made'], value),
            ]
          : [one],
      );
      // Its weights stay in the file that it was made from.
      await copyFile(model, join(await folder, basename(model)));
      const file = join(await folder, `${op}.onnx`);
      await writeFile(file, encodeModel({ ...read, graph: { ...read.graph, nodes } }, dirname(model)));
      const prompt = { feeds };
      const asked = {
        model: file,
        prompt,
        of: { kind: 'loss' },
        save: undefined,
        memory: 2 ** 31,
        threads: 1,
      } as const;
      return gradientsConclusion(await finish(takeGradients(engine, asked)));
    };
    expect(await withZero('Sqrt')).toMatch(/from h_1 on, on the way back to h_0: it begins in block 2\.$/);
    expect(await withZero('Log')).toMatch(/no finite number, and neither is its gradient: .* h_2 is the first state/);
  });

  it('that what is run is one token', async () => {
    const { said } = await gradients(join(root, 'media/models/llama-plain/model.onnx'), { ids: [5] }, { kind: 'loss' });
    expect(said.join()).toMatch(/at least two tokens/);
  });
});
