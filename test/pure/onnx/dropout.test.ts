/** What would make two runs of a file differ. */
import { expect, it } from 'vitest';
import { DataType, type Graph } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { modelOf } from '../../support/graph.js';

const flag = (value: number) => ({ name: 'trains', type: DataType.bool, dims: [], data: Uint8Array.of(value) });
const withFlag = (graph: Graph, value: number): Graph => ({
  ...graph,
  initializers: new Map(graph.initializers).set('trains', flag(value)),
});
const nodes = `
  a = Dropout(x, ratio, trains)
  y, mask = Dropout(a, ratio, trains)`;
const inputsAfter = (value: number) => {
  const model = modelOf(nodes, { inputs: { x: ['n'], ratio: [] }, outputs: ['y'] });
  const prepared = prepare({ ...model, graph: withFlag(model.graph, value) });
  return { inputs: prepared.graph.nodes.map(({ inputs }) => inputs), remarks: prepared.remarks };
};

it('dropout is run as after training, and named', () => {
  expect(inputsAfter(1)).toEqual({
    inputs: [
      ['x', 'ratio'],
      ['a', 'ratio'],
    ],
    remarks: ['dropout: 2 Dropout nodes are in training mode; they are run as after training'],
  });
});

it('dropout that is off stays as it is', () => {
  expect(inputsAfter(0)).toEqual({
    inputs: [
      ['x', 'ratio', 'trains'],
      ['a', 'ratio', 'trains'],
    ],
    remarks: [],
  });
});

it('what else draws at random is named and left as it is', () => {
  const model = modelOf('noise = RandomNormalLike(x)\ny = Add(x, noise)', { inputs: { x: ['n'] }, outputs: ['y'] });
  const prepared = prepare(model);
  expect(prepared.graph).toBe(model.graph);
  expect(prepared.remarks).toEqual(['repeatability: 1 nodes draw at random (RandomNormalLike), so runs may differ']);
  expect(prepare(modelOf('y = Abs(x)', { inputs: { x: ['n'] }, outputs: ['y'] })).remarks).toEqual([]);
});
