import { beforeAll, describe, expect, test } from 'vitest';
import { extract } from '../../../src/onnx/extract.js';
import type { Model } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { ordered, subgraphs } from '../../../src/onnx/scope.js';
import { fixture, fixtures } from '../../support/files.js';
import { at, found } from '../../support/lists.js';
import { difference, floats, loadFixture, run, type Tensors } from './zoo.js';

const fused = [
  'bert-ort-fused',
  'gemma2-genai-fp32',
  'gpt2-optimum-merged',
  'gpt2-ort-attention-past',
  'gpt2-ort-fused-past',
  'llama-genai-fp16',
  'llama-genai-fp32',
  'llama-genai-int4',
  'llama-ort-fused',
  'qwen2-genai-int4',
  'qwen3-genai-fp32',
  'vit-ort-fused',
];

const splitOps = ['SkipLayerNormalization', 'SkipSimplifiedLayerNormalization', 'EmbedLayerNormalization'];

describe.each(fixtures)('%s', (name) => {
  const prepared = () => prepare(readModel(fixture(name).model));

  test('is flat and in order', () => {
    const { graph } = prepared();
    expect(ordered(graph)).toBe(graph);
    expect(graph.nodes.filter((node) => subgraphs(node).length > 0 || node.op === 'Constant')).toEqual([]);
    expect(graph.nodes.filter((node) => splitOps.includes(node.op))).toEqual([]);
  });

  test('still computes what PyTorch computes', async () => {
    const { feeds, golden, tolerance } = await loadFixture(name);
    const head = found(['logits', 'image_embeds', 'last_hidden_state'], (output) => golden.has(output));
    // Optimised, ONNX Runtime quantises the activations of these files too.
    const level = name.includes('qdq') ? 'disabled' : 'all';
    const model = prepared();
    const { name: output } = at(model.graph.outputs, 0);
    const results = await run(extract(model, { inputs: model.graph.inputs, outputs: [output] }), feeds, level);
    expect(difference(floats(results[output]), golden.get(head) ?? [])).toBeLessThan(tolerance);
  });
});

describe.each(fused)('%s', (name) => {
  let model: Model;
  let feeds: Tensors;
  beforeAll(async () => {
    model = readModel(fixture(name).model);
    ({ feeds } = await loadFixture(name));
  });

  test('gives every output that the file itself gives', async () => {
    const prepared = prepare(model);
    const outputs = prepared.graph.outputs.map((output) => output.name);
    expect(outputs).toEqual(model.graph.outputs.map((output) => output.name));
    const whole = await run(fixture(name).model, feeds);
    const results = await run(extract(prepared, { inputs: prepared.graph.inputs, outputs }), feeds);
    const tolerance = name.endsWith('int4') ? 2e-2 : name.endsWith('fp16') ? 1e-2 : 1e-5;
    for (const output of outputs) {
      expect(results[output]?.dims).toEqual(whole[output]?.dims);
      expect(difference(floats(results[output]), floats(whole[output])), output).toBeLessThan(tolerance);
    }
  });

  test('every residual state is the output of an Add', async () => {
    const { golden, tolerance } = await loadFixture(name);
    const prepared = prepare(model);
    const adds = prepared.graph.nodes.filter((node) => node.op === 'Add').flatMap((node) => node.outputs);
    const cut = extract(prepared, { inputs: prepared.graph.inputs, outputs: adds });
    const sums = Object.values(await run(cut, feeds)).filter((sum) => /^float/.test(sum.type));
    // In post-norm models the state is a norm's output; its sums are named apart.
    const states = [...golden].filter(([name]) =>
      golden.has('sum_attn.0') ? name.startsWith('sum_') : /^(hidden\.[1-9]|resid_mid)/.test(name),
    );
    expect(states.length).toBeGreaterThan(3);
    const reached = states.filter(([, state]) => sums.some((sum) => difference(floats(sum), state) < tolerance));
    expect(reached.map(([name]) => name)).toEqual(states.map(([name]) => name));
  });
});
