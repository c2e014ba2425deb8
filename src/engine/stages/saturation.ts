/**
 * Products of unsigned by signed 8-bit integers, as dynamic and static quantisation make them by default: on x86
 * processors without VNNI instructions ONNX Runtime adds two of them in 16 bits, which saturates, so that the same file
 * gives other numbers there.
 */
import { encodeModel } from '../../onnx/encode.js';
import { indexGraph } from '../../onnx/graph.js';
import { DataType, type Graph, type Model, type Tensor } from '../../onnx/model.js';
import { elementCount, readTensor } from '../../onnx/tensor.js';
import { filled } from '../tensors/value.js';
import { createSession } from './session.js';

/** What there is to say of a model on this processor, in words of the kind that a summary's `missing` has. */
export async function saturation(model: Model): Promise<readonly string[]> {
  const weights = saturable(model);
  if (!useAllBits(weights) || !(await saturates())) return [];
  return [
    `8-bit products: ONNX Runtime’s saturate on this processor, which lacks VNNI instructions, and ${weights.length} of this file’s are of unsigned by signed integers: it may give other numbers elsewhere. Quantise with reduce_range, or weights of type uint8, to have the same everywhere`,
  ];
}

/** By operator, where its weights are, and the zero point that has the type of what they are multiplied with. */
const operators: ReadonlyMap<string, { readonly weight: number; readonly zero?: number }> = new Map([
  ['MatMulInteger', { weight: 1, zero: 2 }],
  ['MatMulIntegerToFloat', { weight: 1 }],
  ['DynamicQuantizeMatMul', { weight: 1 }],
  ['QAttention', { weight: 1 }],
  ['QLinearMatMul', { weight: 3, zero: 2 }],
  ['QGemm', { weight: 3, zero: 2 }],
]);

/** The largest weight of which two products with the largest activation, 255, still fit 16 bits. */
const largestSafe = 64;

/** Whether weights use all 8 bits. Quantisers make all of a file alike, so that the smallest tensor tells. */
function useAllBits(weights: readonly Tensor[]): boolean {
  const [first, ...others] = weights;
  if (!first) return false;
  const smallest = others.reduce(
    (least, one) => (elementCount(one.dims) < elementCount(least.dims) ? one : least),
    first,
  );
  const { buffer, byteOffset, byteLength } = readTensor(smallest);
  return new Int8Array(buffer, byteOffset, byteLength).some((weight) => Math.abs(weight) > largestSafe);
}

/** The signed weights of products whose other operand is unsigned. */
function saturable({ graph }: Model): readonly Tensor[] {
  const { producer } = indexGraph(graph);
  const constant = (name: string | undefined) => (name === undefined ? undefined : graph.initializers.get(name));
  const isUnsigned = (name: string | undefined) => constant(name)?.type === DataType.uint8;
  const signed = (name: string | undefined) => {
    const tensor = constant(name);
    return tensor?.type === DataType.int8 ? [tensor] : [];
  };
  // ONNX Runtime makes a product of 8-bit integers of a float one between dequantised operands.
  const dequantised = (name: string | undefined) => {
    const node = name === undefined ? undefined : producer(name);
    return node?.op === 'DequantizeLinear' ? node.inputs : [];
  };
  return graph.nodes.flatMap(({ op, inputs }) => {
    const places = operators.get(op);
    if (places) {
      const { weight, zero } = places;
      // Without a zero point it is one of `DynamicQuantizeLinear`, which is unsigned.
      return zero === undefined || signed(inputs[zero]).length === 0 ? signed(inputs[weight]) : [];
    }
    const isProduct = op === 'MatMul' || op === 'Gemm';
    return isProduct && isUnsigned(dequantised(inputs[0])[2]) ? signed(dequantised(inputs[1])[0]) : [];
  });
}

/** Rows and columns that every kernel takes its usual way for. */
const size = 16;

let found: Promise<boolean> | undefined;

/** Whether a product of the largest operands comes out too small here. */
export function saturates(): Promise<boolean> {
  found ??= tried();
  return found;
}

async function tried(): Promise<boolean> {
  const session = await createSession(encodeModel({ irVersion: 8, opsets: new Map([['', 13]]), graph }, ''), '', {
    prepack: true,
    threads: 1,
  });
  try {
    const dims = [size, size];
    const results = await session.run(
      new Map([
        ['activations', filled(DataType.uint8, dims, () => 255)],
        ['weights', filled(DataType.int8, dims, () => 127)],
      ]),
    );
    return Number(results.get('product')?.data[0]) < size * 255 * 127;
  } finally {
    await session.release();
  }
}

const graph: Graph = {
  name: 'saturation',
  nodes: [
    {
      name: 'product',
      op: 'MatMulInteger',
      domain: '',
      inputs: ['activations', 'weights'],
      outputs: ['product'],
      attributes: new Map(),
    },
  ],
  inputs: [
    { name: 'activations', type: DataType.uint8, shape: [size, size] },
    { name: 'weights', type: DataType.int8, shape: [size, size] },
  ],
  outputs: [{ name: 'product', type: DataType.int32, shape: [size, size] }],
  initializers: new Map(),
  valueInfo: new Map(),
};
