/** Patterns that operators hide: each is rebuilt, or said in `missing` with the reason why not. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withPatterns } from '../../../src/anatomy/patterns.js';
import { recognise } from '../../../src/anatomy/recognise.js';
import type { Attribute, Graph, Model, Node } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';

const prepared = (fixture: string) => prepare(readModel(join(import.meta.dirname, '../../zoo', fixture, 'model.onnx')));

/** The fixture with its first node of this operator changed. */
function changed(fixture: string, op: string, change: (node: Node, graph: Graph) => Partial<Node>): Model {
  const model = prepared(fixture);
  const { graph } = model;
  const first = graph.nodes.find((node) => node.op === op);
  if (!first) throw new Error(`${fixture} has no ${op}`);
  const nodes = graph.nodes.map((node) => (node === first ? { ...node, ...change(node, graph) } : node));
  return { ...model, graph: { ...graph, nodes } };
}

const without = (name: string) => (node: Node) => ({
  attributes: new Map([...node.attributes].filter(([key]) => key !== name)),
});
const having = (name: string, value: Attribute) => (node: Node) => ({
  attributes: new Map([...node.attributes, [name, value] as const]),
});
/** As ONNX lists them: `index` is the operator's own. */
const taking = (index: number, value: string) => (node: Node) => ({
  inputs: Array.from({ length: Math.max(index + 1, node.inputs.length) }, (_, i) =>
    i === index ? value : (node.inputs[i] ?? ''),
  ),
});

const one: Attribute = { kind: 'int', value: 1n };
const hidden = (operator: string, form = '') =>
  `it is hidden in the operator com.microsoft.${operator}${form}, which Sinkscope cannot rebuild`;

describe('a pattern that cannot be rebuilt is missing, with the reason', () => {
  it.each<[string, string, string, Parameters<typeof changed>[2], string]>([
    [
      'an operator that is too little known',
      'fixtures/gpt2-ort-attention-past',
      'Attention',
      () => ({ op: 'DecoderMaskedSelfAttention' }),
      hidden('DecoderMaskedSelfAttention'),
    ],
    [
      'rotary positions inside',
      'fixtures/gpt2-ort-attention-past',
      'Attention',
      having('do_rotary', one),
      hidden('Attention', ' with do_rotary'),
    ],
    [
      'no number of heads, projections inside',
      'fixtures/gpt2-ort-attention-past',
      'Attention',
      without('num_heads'),
      'the operator com.microsoft.Attention does not state its heads',
    ],
    [
      'a weight of unknown width',
      'fixtures/gpt2-ort-attention-past',
      'Attention',
      (node) => taking(1, node.inputs[0] ?? '')(node),
      'the operator com.microsoft.Attention does not state how wide its queries and keys are',
    ],
    [
      'widths that are incomplete',
      'fixtures/gpt2-ort-attention-past',
      'Attention',
      having('qkv_hidden_sizes', { kind: 'ints', value: [64n] }),
      'the operator com.microsoft.Attention does not state how wide its queries and keys are',
    ],
    [
      'no number of heads, projections outside',
      'fixtures/llama-genai-fp16',
      'MultiHeadAttention',
      without('num_heads'),
      'the operator com.microsoft.MultiHeadAttention does not state its heads',
    ],
    [
      'a bias that is no constant',
      'fixtures/llama-genai-fp16',
      'MultiHeadAttention',
      (node) => taking(3, node.inputs[0] ?? '')(node),
      hidden('MultiHeadAttention', ' with a bias that is no constant of three equal parts'),
    ],
    [
      'a bias of other widths',
      'fixtures/llama-genai-fp16',
      'MultiHeadAttention',
      (node, graph) => {
        const [name] = [...graph.initializers].find(([, { dims }]) => dims.length === 1 && dims[0] === 64) ?? [''];
        return taking(3, name)(node);
      },
      hidden('MultiHeadAttention', ' with a bias that is no constant of three equal parts'),
    ],
    [
      'no number of heads, shared keys',
      'fixtures/llama-genai-fp32',
      'GroupQueryAttention',
      without('num_heads'),
      'the operator com.microsoft.GroupQueryAttention does not state its heads',
    ],
    [
      'norms inside',
      'fixtures/llama-genai-fp32',
      'GroupQueryAttention',
      (node) => taking(14, node.inputs[0] ?? '')(node),
      hidden('GroupQueryAttention', ' with norms of queries and keys'),
    ],
  ])('%s', (_, fixture, op, change, why) => {
    const model = changed(fixture, op, change);
    const { anatomy, patterns } = withPatterns(model, recognise(model));
    expect(anatomy.missing).toContainEqual({ part: 'attention pattern of block 1', why });
    expect([...patterns.keys()]).toEqual([2, 3]);
  });

  it('once for all blocks that share it, before what else is missing', () => {
    const model = prepared('fixtures/gpt2-ort-attention-past');
    const nodes = model.graph.nodes.map((node) =>
      node.op === 'Attention' ? { ...node, op: 'PackedAttention' } : node,
    );
    const opaque = { ...model, graph: { ...model.graph, nodes } };
    const {
      anatomy,
      patterns,
      model: same,
    } = withPatterns(opaque, {
      ...recognise(opaque),
      missing: [{ part: 'unembedding', why: 'of a test' }],
    });
    expect(anatomy.missing).toEqual([
      { part: 'attention pattern of all 3 blocks', why: hidden('PackedAttention') },
      { part: 'unembedding', why: 'of a test' },
    ]);
    expect(patterns.size).toBe(0);
    expect(same.graph.nodes).toEqual(nodes);
  });
});

describe('a pattern that can be had is a value of the graph', () => {
  it.each([
    'fixtures/gpt2-ts-op14',
    'fixtures/bert-ort-fused',
    'fixtures/llama-genai-fp16',
    'fixtures/llama-genai-fp32',
    'families/operator-attention-4d-grouped',
  ])('%s', (fixture) => {
    const model = prepared(fixture);
    const anatomy = recognise(model);
    const { model: whole, patterns, anatomy: after } = withPatterns(model, anatomy);
    const values = new Set(whole.graph.nodes.flatMap(({ outputs }) => outputs));
    expect([...patterns.keys()]).toEqual(anatomy.blocks.map((_, index) => index + 1));
    for (const { tensor, keys, values: weighed } of patterns.values())
      for (const name of [tensor, keys, weighed]) expect(values).toContain(name);
    expect(after.missing).toEqual(anatomy.missing);
    expect(values.size).toBe(whole.graph.nodes.flatMap(({ outputs }) => outputs).length);
  });
});
