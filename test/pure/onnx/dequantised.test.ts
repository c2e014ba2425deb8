import { describe, expect, it } from 'vitest';
import { mergeDequantised } from '../../../src/onnx/dequantised.js';
import type { Attribute, Graph, Node } from '../../../src/onnx/model.js';
import { Names } from '../../../src/onnx/rename.js';

const node = (op: string, inputs: string[], output: string, axis?: bigint): Node => {
  const attributes = new Map<string, Attribute>(axis === undefined ? [] : [['axis', { kind: 'int', value: axis }]]);
  return { name: output, op, domain: '', inputs, outputs: [output], attributes };
};
const graph = (nodes: Node[], outputs: string[]): Graph => ({
  name: '',
  nodes,
  inputs: [{ name: 'q' }],
  outputs: outputs.map((name) => ({ name })),
  initializers: new Map(),
  valueInfo: new Map(),
});

const context = (before: Graph) => ({ names: new Names(before), switches: false, opset: 21, remark: () => {} });

describe('mergeDequantised', () => {
  it('lets readers of one quantised value share its dequantisation', () => {
    const copies = [
      node('DequantizeLinear', ['q', 's'], 'a'),
      node('DequantizeLinear', ['q', 's'], 'b'),
      node('Add', ['a', 'b'], 'y'),
    ];
    const before = graph(copies, ['y']);
    const { nodes } = mergeDequantised(before, context(before));
    expect(nodes.map(({ op, inputs }) => [op, ...inputs])).toEqual([
      ['DequantizeLinear', 'q', 's'],
      ['Add', 'q#float', 'q#float'],
    ]);
  });

  it('keeps what differs, and what the graph gives', () => {
    const different = [
      node('DequantizeLinear', ['q', 's'], 'a', 0n),
      node('DequantizeLinear', ['q', 's'], 'b', 1n),
      node('DequantizeLinear', ['q', 's'], 'c', 1n),
      node('Sum', ['a', 'b', 'c'], 'y'),
    ];
    const before = graph(different, ['y', 'c']);
    expect(mergeDequantised(before, context(before))).toBe(before);
  });
});
