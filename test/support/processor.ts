import { createSession } from '../../src/engine/stages/session.js';
import { DataType } from '../../src/onnx/model.js';
import { model, node, tensor, value } from './build.js';

const [depth, columns] = [64, 16];

/** Whether sums of ONNX Runtime's products of unsigned and signed bytes saturate on this processor, which has no VNNI then. */
export async function saturates(): Promise<boolean> {
  const bytes = model({
    nodes: [node('MatMulInteger', ['a', 'weight'], ['y'])],
    initializers: [tensor('weight', [depth, columns], DataType.int8, [9, new Uint8Array(depth * columns).fill(127)])],
    inputs: [value('a', [1, depth], DataType.uint8)],
    outputs: [value('y', [1, columns], DataType.int32)],
  });
  const session = await createSession(bytes, '', { prepack: true, threads: 1 });
  const a = { type: DataType.uint8, dims: [1, depth], data: new Uint8Array(depth).fill(255) };
  const results = await session.run(new Map([['a', a]]));
  await session.release();
  return Number(results.get('y')?.data[0]) !== depth * 255 * 127;
}
