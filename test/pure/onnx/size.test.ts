/** What reading costs is counted in bytes read, which is what memory and time follow from. */
import { closeSync, mkdtempSync, openSync, realpathSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { indexGraph } from '../../../src/onnx/graph.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { parseModel, readModel } from '../../../src/onnx/read.js';
import { dataFiles, weightBytes } from '../../../src/onnx/weights.js';
import type { ByteSource } from '../../../src/onnx/wire.js';
import { external, graph, message, model, node, opset, value } from '../../support/build.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-size-')));
afterAll(() => rmSync(folder, { recursive: true }));

/** Parts of known bytes with zeros between them; counts what is read. */
class Sparse implements ByteSource {
  size = 0;
  read_ = 0;
  private readonly parts: { readonly start: number; readonly bytes: Uint8Array }[] = [];

  add(bytes: Uint8Array): void {
    this.parts.push({ start: this.size, bytes });
    this.size += bytes.length;
  }

  read(into: Uint8Array, position: number): number {
    const count = Math.min(into.length, this.size - position);
    into.fill(0, 0, count);
    for (const { start, bytes } of this.parts) {
      const from = Math.max(start, position);
      const to = Math.min(start + bytes.length, position + count);
      if (from < to) into.set(bytes.subarray(from - start, to - start), from - position);
    }
    this.read_ += count;
    return count;
  }
}

const gigabyte = 2 ** 30;

/** The start of a length-delimited field. */
function opening(field: number, length: number): Uint8Array {
  const bytes = [(field << 3) | 2];
  let rest = length;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Uint8Array.from([...bytes, rest]);
}

test('a model with 200 GB of weights inside costs a few megabytes of reading', () => {
  const count = 200;
  const tensors = Array.from({ length: count }, (_, i) =>
    Buffer.concat([message([1, gigabyte / 4], [2, 1], [8, `w${i}`]), opening(9, gigabyte)]),
  );
  const rest = graph({
    nodes: tensors.map((_, i) => node('Add', [i === 0 ? 'x' : `h${i - 1}`, `w${i}`], [`h${i}`])),
    inputs: [value('x')],
    outputs: [value(`h${count - 1}`)],
  });
  const fields = tensors.map((head) => opening(5, head.length + gigabyte));
  const length = tensors.reduce((sum, head, i) => sum + head.length + gigabyte + (fields[i]?.length ?? 0), rest.length);
  const source = new Sparse();
  source.add(message([1, 10]));
  source.add(opening(7, length));
  tensors.forEach((head, i) => {
    source.add(fields[i] ?? head);
    source.add(head);
    source.size += gigabyte;
  });
  source.add(rest);
  source.add(message([8, opset('', 18)]));

  const whole = parseModel(source, '/models/large.onnx');
  expect(weightBytes(whole)).toBe(count * gigabyte);
  expect(whole.graph.nodes).toHaveLength(count);
  expect(source.read_).toBeLessThan(count * 16 * 1024 + 2 ** 20);
  const last = whole.graph.initializers.get(`w${count - 1}`);
  expect(last?.data).toMatchObject({ file: '/models/large.onnx', length: gigabyte });
});

test('a model with 4 GB beside it is read without touching them', () => {
  const data = join(folder, 'model.onnx.data');
  closeSync(openSync(data, 'w'));
  truncateSync(data, 4 * gigabyte);
  const file = join(folder, 'model.onnx');
  const initializers = [0, 1, 2, 3].map((i) =>
    external(`w${i}`, [16384, 16384], { location: 'model.onnx.data', offset: String(i * gigabyte) }),
  );
  const bytes = model({
    nodes: [node('Sum', ['w0', 'w1', 'w2', 'w3'], ['y'])],
    initializers,
    outputs: [value('y', [16384, 16384])],
  });
  const descriptor = openSync(file, 'w');
  writeSync(descriptor, bytes);
  closeSync(descriptor);
  const whole = readModel(file);
  expect(weightBytes(whole)).toBe(4 * gigabyte);
  expect(dataFiles(whole)).toEqual([data]);
});

describe('20,000 nodes', () => {
  const count = 20_000;
  const parts = {
    nodes: Array.from({ length: count }, (_, i) => node('Add', [i === 0 ? 'x' : `h${i - 1}`, 'x'], [`h${i}`])),
    inputs: [value('x', [4])],
    outputs: [value(`h${count - 1}`, [4])],
  };
  const read = (bytes: Uint8Array) => {
    const source = new Sparse();
    source.add(bytes);
    return prepare(parseModel(source, '/models/long.onnx'));
  };

  test('are read and indexed in the order of the file', () => {
    const { graph: long } = read(model(parts));
    const index = indexGraph(long);
    const last = index.producer(`h${count - 1}`);
    expect(last && index.position(last)).toBe(count - 1);
    expect(index.consumers('x')).toHaveLength(count);
  });

  test('come out in order when they are reversed: no recursion', () => {
    const { graph: long } = read(model({ ...parts, nodes: parts.nodes.toReversed() }));
    expect(long.nodes[0]?.outputs).toEqual(['h0']);
    expect(long.nodes.at(-1)?.outputs).toEqual([`h${count - 1}`]);
  });
});
