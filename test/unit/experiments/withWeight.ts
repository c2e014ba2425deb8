import { readFileSync } from 'node:fs';
import { readModel } from '../../../src/onnx/read.js';

/** The bytes of a model file with one element of a float32 weight changed in place. */
export function withWeight(file: string, name: string, element: number, change: (weight: number) => number): Buffer {
  const bytes = readFileSync(file);
  const tensor = readModel(file).graph.initializers.get(name);
  if (!tensor) throw new Error(`${name} is not there`);
  const start = tensor.data instanceof Uint8Array ? bytes.indexOf(tensor.data) : tensor.data.offset;
  const at = start + 4 * element;
  bytes.writeFloatLE(change(bytes.readFloatLE(at)), at);
  return bytes;
}
