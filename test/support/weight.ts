import { readFileSync, writeFileSync } from 'node:fs';
import { readModel } from '../../src/onnx/read.js';

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

/** Trains a model with float32 weights on: every number of its largest weight grows by a thousandth. */
export function trainOn(file: string): void {
  const ranges = [...readModel(file).graph.initializers.values()].flatMap(({ data }) =>
    data instanceof Uint8Array ? [] : [data],
  );
  const largest = ranges.reduce((best, range) => (range.length > best.length ? range : best));
  const bytes = readFileSync(largest.file);
  for (let at = largest.offset; at < largest.offset + largest.length; at += 4)
    bytes.writeFloatLE(1.001 * bytes.readFloatLE(at), at);
  writeFileSync(largest.file, bytes);
}
