import { InferenceSession, Tensor } from 'onnxruntime-node';
import { model, node, tensor, value } from './build.js';

/** Fixtures whose int8 products are too large for 16 bits. */
const large = /^gpt2-(int8-dynamic|qdq-static)$/;

/**
 * Why a fixture's numbers cannot be those of its reference on this processor: without VNNI, ONNX Runtime adds products
 * of int8 in pairs of 16 bits, which saturate. Undefined where they can.
 *
 * @see https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
 */
export async function saturation(fixture: string): Promise<string | undefined> {
  return large.test(fixture) && (await saturates()) ? 'int8 products saturate on this processor' : undefined;
}

/** Whether 255 × 127 + 255 × 127 is another number here. */
async function saturates(): Promise<boolean> {
  const count = 64;
  const session = await InferenceSession.create(
    model({
      nodes: [node('MatMulInteger', ['a', 'b'], ['y'])],
      initializers: [tensor('b', [count, 1], 3, [9, new Uint8Array(count).fill(127)])],
      inputs: [value('a', [1, count], 2)],
      outputs: [value('y', [1, 1], 6)],
    }),
  );
  const { y } = await session.run({ a: new Tensor('uint8', new Uint8Array(count).fill(255), [1, count]) });
  await session.release();
  return y?.data[0] !== count * 255 * 127;
}
