/** What a processor makes of products of 8-bit integers is said of files that have them. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, it } from 'vitest';
import { saturation } from '../../../src/engine/stages/saturation.js';
import { encodeModel } from '../../../src/onnx/encode.js';
import { DataType, type Model } from '../../../src/onnx/model.js';
import { readModel } from '../../../src/onnx/read.js';
import { fixture } from '../../support/files.js';
import { graphOf, modelOf } from '../../support/graph.js';
import { found } from '../../support/lists.js';

const read = (name: string) => readModel(fixture(name).model);

/** With weights of another type. */
function withWeights(model: Model, type: DataType): Model {
  const initializers = new Map(
    [...model.graph.initializers].map(([name, tensor]) => [
      name,
      tensor.type === DataType.int8 || tensor.type === DataType.uint8 ? { ...tensor, type } : tensor,
    ]),
  );
  return { ...model, graph: { ...model.graph, initializers } };
}

/** Whether 255 · 127, added up 64 times, comes out as it should. */
async function isExact(): Promise<boolean> {
  const graph = graphOf('y = MatMulInteger(a, b)', {
    inputs: { a: [8, 64], b: [64, 8] },
    outputs: ['y'],
    types: { a: DataType.uint8, b: DataType.int8 },
  });
  const outputs = graph.outputs.map((output) => ({ ...output, type: DataType.int32 }));
  const bytes = encodeModel({ irVersion: 8, opsets: new Map([['', 13]]), graph: { ...graph, outputs } }, '');
  const session = await InferenceSession.create(bytes);
  const { y } = await session.run({
    a: new Tensor('uint8', new Uint8Array(8 * 64).fill(255), [8, 64]),
    b: new Tensor('int8', new Int8Array(64 * 8).fill(127), [64, 8]),
  });
  return [...(y?.data ?? [])].every((value) => Number(value) === 64 * 255 * 127);
}

/** A product between dequantised operands, which ONNX Runtime computes in 8-bit integers. */
function dequantised(activations: DataType, largest = 127): Model {
  const model = modelOf(
    `x8 = QuantizeLinear(x, s, z)
     a = DequantizeLinear(x8, s, z)
     b = DequantizeLinear(w8, s)
     y = MatMul(a, b)`,
    { inputs: { x: [8, 64] }, outputs: ['y'], weights: { z: [], w8: [64, 8] }, scalars: { s: 1 } },
  );
  const initializer = (name: string) => found([...model.graph.initializers.values()], (tensor) => tensor.name === name);
  const typed = (name: string, type: DataType) => ({ ...initializer(name), type });
  const initializers = new Map(model.graph.initializers)
    .set('z', typed('z', activations))
    .set('w8', { ...typed('w8', DataType.int8), data: new Uint8Array(64 * 8).fill(largest) });
  return { ...model, graph: { ...model.graph, initializers } };
}

const unsigned: readonly (readonly [string, Model])[] = [
  ['a dynamic product', withWeights(read('llama-int8-dynamic'), DataType.int8)],
  ['one between dequantised operands', dequantised(DataType.uint8)],
];
it.each(unsigned)('%s: is remarked where, and only where, they saturate', async (_, model) => {
  const remark = expect.stringMatching(/^8-bit products: .* VNNI .* reduce_range/);
  expect(await saturation(model)).toEqual((await isExact()) ? [] : [remark]);
});

it('is no matter of two unsigned or two signed operands, of weights of 7 bits, or of floats', async () => {
  expect(await saturation(withWeights(read('llama-int8-dynamic'), DataType.uint8))).toEqual([]);
  expect(await saturation(dequantised(DataType.int8))).toEqual([]);
  expect(await saturation(dequantised(DataType.uint8, 64))).toEqual([]);
  expect(await saturation(read('llama-ts-op17-sdpa'))).toEqual([]);
});
