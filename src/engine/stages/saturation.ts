/** What this processor makes of products of bytes. */
import { encodeModel } from '../../onnx/encode.js';
import { DataType, type Graph } from '../../onnx/model.js';
import { createSession } from './session.js';

const [depth, columns] = [64, 16];

/**
 * Whether ONNX Runtime's sums of products of unsigned and signed bytes saturate here: without VNNI instructions, pairs
 * of them are added in 16 bits.
 */
export async function saturates(): Promise<boolean> {
  const session = await createSession(encodeModel({ irVersion: 8, opsets: new Map([['', 13]]), graph }, ''), '', {
    prepack: true,
    threads: 1,
  });
  try {
    const bytes = { type: DataType.uint8, dims: [1, depth], data: new Uint8Array(depth).fill(255) };
    const results = await session.run(new Map([['bytes', bytes]]));
    return Number(results.get('sums')?.data[0]) !== depth * 255 * 127;
  } finally {
    await session.release();
  }
}

const weight = { name: 'weight', type: DataType.int8, dims: [depth, columns] };
const graph: Graph = {
  name: 'saturation',
  nodes: [
    {
      name: 'product',
      op: 'MatMulInteger',
      domain: '',
      inputs: ['bytes', 'weight'],
      outputs: ['sums'],
      attributes: new Map(),
    },
  ],
  inputs: [{ name: 'bytes', type: DataType.uint8, shape: [1, depth] }],
  outputs: [{ name: 'sums', type: DataType.int32, shape: [1, columns] }],
  initializers: new Map([['weight', { ...weight, data: new Uint8Array(depth * columns).fill(127) }]]),
  valueInfo: new Map(),
};
