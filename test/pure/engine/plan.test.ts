import { describe, expect, it } from 'vitest';
import type { Anatomy } from '../../../src/anatomy/anatomy.js';
import { recognise } from '../../../src/anatomy/recognise.js';
import { group, makePlan } from '../../../src/engine/stages/plan.js';
import type { Graph, Node } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { fixture } from '../../support/files.js';
import { at } from '../../support/lists.js';

function node(op: string, inputs: string[], outputs: string[]): Node {
  return { name: '', op, domain: '', inputs, outputs, attributes: new Map() };
}

/**
 * Two blocks. The mask is made from the shape of the looked-up embedding and of h1, block 2 uses a value of block 1
 * again, and the rotary table comes from positions alone.
 */
const graph: Graph = {
  name: '',
  inputs: [{ name: 'ids' }, { name: 'positions' }],
  outputs: [{ name: 'logits' }],
  initializers: new Map(),
  valueInfo: new Map(),
  nodes: [
    node('Gather', ['table', 'ids'], ['looked']),
    node('Shape', ['looked'], ['lookedShape']),
    node('ConstantOfShape', ['lookedShape'], ['mask']),
    node('Cos', ['positions'], ['rotary']),
    node('Mul', ['looked', 'scale'], ['h0']),
    node('MatMul', ['h0', 'v'], ['value1']),
    node('Mix', ['value1', 'mask', 'rotary'], ['attention1']),
    node('Add', ['h0', 'attention1'], ['h1']),
    node('Shape', ['h1'], ['h1Shape']),
    node('Expand', ['rotary', 'h1Shape'], ['rotary2']),
    node('Mix', ['h1', 'value1', 'mask', 'rotary2'], ['attention2']),
    node('Add', ['h1', 'attention2'], ['h2']),
    node('MatMul', ['h2', 'table'], ['logits']),
  ],
};
const anatomy = {
  layers: 2,
  source: 'looked',
  embedding: 'h0',
  blocks: [{ residPost: 'h1' }, { residPost: 'h2' }],
} as unknown as Anatomy;

const sorted = (names: readonly string[]) => [...names].sort();

describe('makePlan', () => {
  const { stages, narrow } = makePlan(graph, anatomy, new Map([[2, ['attention2']]]), ['logits']);

  it('carries what a later block needs, and of values before h_0 only their shape', () => {
    expect(stages.map(({ first, inputs, outputs }) => [first, sorted(inputs), sorted(outputs)])).toEqual([
      [0, ['ids'], ['h0', 'lookedShape']],
      [1, ['h0', 'lookedShape', 'positions'], ['h1', 'value1']],
      [2, ['h1', 'lookedShape', 'positions', 'value1'], ['attention2', 'h2']],
      [3, ['h2'], ['logits']],
    ]);
  });

  it('narrows a stage to what one of its values needs', () => {
    expect(sorted(narrow(at(stages, 1), ['value1']).inputs)).toEqual(['h0']);
  });

  it('starts at a float input that is h_0 itself', () => {
    const inputs = [{ name: 'h0' }, { name: 'mask' }, { name: 'rotary' }];
    const embedded = { ...graph, inputs, nodes: graph.nodes.slice(5) };
    const plan = makePlan(embedded, { ...anatomy, source: 'h0' }, new Map(), []);
    expect(plan.stages.map((stage) => [stage.first, sorted(stage.inputs)])).toEqual([
      [1, ['h0', 'mask', 'rotary']],
      [2, ['h1', 'mask', 'rotary', 'value1']],
    ]);
  });
});

describe('group', () => {
  const { stages } = makePlan(graph, anatomy, new Map(), ['logits']);

  it('joins the embedding and all blocks, and leaves the head alone', () => {
    const grouped = group(stages, 2, 2);
    expect(grouped.map(({ first, last, inputs }) => [first, last, sorted(inputs)])).toEqual([
      [0, 2, ['ids', 'positions']],
      [3, 3, ['h2']],
    ]);
    expect(grouped[0]?.outputs).toEqual(expect.arrayContaining(['h0', 'h1', 'h2']));
  });

  it('leaves single blocks as they are', () => {
    expect(group(stages, 1, 2)).toEqual(stages);
  });
});

describe('on exported models', () => {
  it.each([
    'gpt2-optimum-past',
    'llama-ts-op17-sdpa',
    'llama-genai-fp32',
    'gemma3-dynamo-op20',
    'phi-optimum-past',
    'vit_mae-ts-op17',
  ])('every stage of %s is fed by the ones before it', (name) => {
    const model = prepare(readModel(fixture(name).model));
    const anatomy = recognise(model);
    const { stages } = makePlan(model.graph, anatomy, new Map(), []);
    const there = new Set(model.graph.inputs.map((input) => input.name));
    for (const stage of stages) {
      for (const input of stage.inputs) expect(there).toContain(input);
      for (const output of stage.outputs) there.add(output);
    }
    for (const block of anatomy.blocks) expect(there).toContain(block.residPost);
    expect(stages.map((stage) => stage.first)).toEqual(stages.map((_, i) => i));
  });
});
