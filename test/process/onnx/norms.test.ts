/** The parts that a fused norm becomes, against ONNX Runtime's own fused kernels. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, test } from 'vitest';
import { extract } from '../../../src/onnx/extract.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { floats, graph, message, node, opset, value } from '../../support/build.js';
import { pairs } from '../../support/lists.js';
import { run, type Tensors } from './zoo.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-norms-')));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'model.onnx');

/** Numbers without a pattern, the same every time. */
const noise = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin(1 + i * 12.9898 + seed * 78.233) * 2);

const width = 8;
const vector = (name: string, seed: number): Uint8Array => floats(name, [width], noise(width, seed));
const table = (name: string, rows: number, seed: number): Uint8Array =>
  floats(name, [rows, width], noise(rows * width, seed));
const epsilon = Buffer.concat([
  message([1, 'epsilon']),
  Buffer.from([0x15]),
  Buffer.from(Float32Array.of(0.01).buffer),
  message([20, 1]),
]);

async function expectSame(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  given: {
    feeds: Tensors;
    types: Readonly<Record<string, number>>;
    weights: readonly Uint8Array[];
    version?: number;
    plain?: boolean;
  },
): Promise<void> {
  const whole = graph({
    nodes: [node(op, inputs, outputs, given.plain ? [] : [epsilon], 'com.microsoft')],
    initializers: given.weights,
    inputs: Object.entries(given.feeds).map(([name, fed]) => value(name, fed.dims, given.types[name] ?? 1)),
    outputs: outputs.filter((name) => name !== '').map((name) => value(name, [], name === 'counts' ? 6 : 1)),
  });
  // Shapes of outputs are left to ONNX Runtime.
  const untyped = message([1, 8], [7, whole], [8, opset('', given.version ?? 17)], [8, opset('com.microsoft', 1)]);
  writeFileSync(file, untyped);
  const flat = prepare(readModel(file));
  expect(flat.graph.nodes.some((each) => each.op === op)).toBe(false);
  const names = outputs.filter((name) => name !== '');
  const expected = await run(file, given.feeds);
  const actual = await run(extract(flat, { inputs: flat.graph.inputs, outputs: names }), given.feeds);
  for (const name of names) {
    expect(actual[name]?.dims, name).toEqual(expected[name]?.dims);
    for (const [i, [number, wanted]] of pairs(actual[name]?.data, expected[name]?.data).entries())
      expect(Number(number), `${name}[${i}]`).toBeCloseTo(Number(wanted), 5);
  }
}

const state = (seed: number): Tensor => new Tensor('float32', Float32Array.from(noise(3 * width, seed)), [1, 3, width]);

describe('skip norms', () => {
  const feeds = { h: state(1), branch: state(2) };
  const weights = [vector('gamma', 3), vector('beta', 4), vector('bias', 5)];
  test.each([
    ['SkipLayerNormalization', ['h', 'branch', 'gamma', 'beta', 'bias'], ['y', '', '', 'sum']],
    ['SkipLayerNormalization', ['h', 'branch', 'gamma', 'beta'], ['y']],
    ['SkipLayerNormalization', ['h', 'branch', 'gamma', '', 'bias'], ['y', '', '', 'sum']],
    ['SkipLayerNormalization', ['h', 'branch', 'gamma'], ['y', '', '', 'sum']],
    ['SkipSimplifiedLayerNormalization', ['h', 'branch', 'gamma', 'bias'], ['y', '', '', 'sum']],
    ['SkipSimplifiedLayerNormalization', ['h', 'branch', 'gamma'], ['y']],
  ])('%s of %j', async (op, inputs, outputs) => {
    for (const version of [11, 14, 17, 22])
      await expectSame(op, inputs, outputs, { feeds, types: {}, weights, version });
  });

  test.each(['SkipLayerNormalization', 'SkipSimplifiedLayerNormalization'])('%s with its own epsilon', async (op) => {
    // Small enough for the epsilon to matter.
    const tiny = new Tensor(
      'float32',
      Float32Array.from(noise(3 * width, 6), (each) => each * 1e-6),
      [1, 3, width],
    );
    await expectSame(op, ['h', 'h', 'gamma'], ['y'], { feeds: { h: tiny }, types: {}, weights, plain: true });
  });
});

describe('embedding norms', () => {
  const ids = (numbers: readonly number[]): Tensor => new Tensor('int32', Int32Array.from(numbers), [2, 3]);
  const feeds = {
    ids: ids([4, 0, 2, 1, 1, 3]),
    kinds: ids([0, 1, 1, 0, 0, 1]),
    mask: ids([1, 1, 0, 1, 0, 0]),
    where: ids([2, 1, 0, 5, 4, 3]),
  };
  const types = { ids: 6, kinds: 6, mask: 6, where: 6 };
  const weights = [
    table('words', 5, 1),
    table('places', 6, 2),
    table('kind', 2, 3),
    vector('gamma', 4),
    vector('beta', 5),
  ];
  test.each([
    [
      ['ids', 'kinds', 'words', 'places', 'kind', 'gamma', 'beta', 'mask'],
      ['y', 'counts', 'sum'],
    ],
    [
      ['ids', 'kinds', 'words', 'places', 'kind', 'gamma', 'beta'],
      ['y', 'counts'],
    ],
    [
      ['ids', '', 'words', 'places', '', 'gamma', 'beta', '', 'where'],
      ['y', 'counts', 'sum'],
    ],
    [
      ['ids', '', 'words', 'places', '', 'gamma', 'beta', 'mask'],
      ['y', 'counts'],
    ],
  ])('of %j', async (inputs, outputs) => {
    const used = Object.fromEntries(Object.entries(feeds).filter(([name]) => inputs.includes(name)));
    for (const version of [11, 14, 18]) {
      await expectSame('EmbedLayerNormalization', inputs, outputs, { feeds: used, types, weights, version });
    }
  });
});
