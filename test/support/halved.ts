/** A model's file as a training that goes on leaves it: the same graph, other numbers. */
import { readFileSync } from 'node:fs';
import { readModel } from '../../src/onnx/read.js';

/** The bytes of a model whose largest weight is half of what it was. */
export function halved(file: string): Buffer {
  const bytes = readFileSync(file);
  const ranges = [...readModel(file).graph.initializers.values()].flatMap(({ data }) =>
    data instanceof Uint8Array ? [] : [data],
  );
  const largest = ranges.reduce((best, range) => (range.length > best.length ? range : best));
  // As a float of two bytes or of four: both halves of it become other numbers.
  for (let at = largest.offset; at < largest.offset + largest.length; at++) bytes[at] = (bytes[at] ?? 0) & 0xbf;
  return bytes;
}
