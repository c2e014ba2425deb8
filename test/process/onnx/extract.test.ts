import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, test } from 'vitest';
import { extract } from '../../../src/onnx/extract.js';
import { indexGraph } from '../../../src/onnx/graph.js';
import { DataType, type Model } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { parseModel, readModel } from '../../../src/onnx/read.js';
import {
  external,
  floats,
  graph,
  graphAttribute,
  intAttribute,
  model,
  node,
  tensor,
  value,
} from '../../support/build.js';
import { fixture } from '../../support/files.js';
import { loadFixture, requiredInputs, run } from './zoo.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-extract-')));
afterAll(() => rmSync(folder, { recursive: true }));

function written(bytes: Uint8Array): Model {
  const file = join(folder, 'model.onnx');
  writeFileSync(file, bytes);
  return readModel(file);
}

/** An encoded model read again, as if it lay where `file` does. */
function parsed(bytes: Uint8Array, file: string): Model {
  const read = (into: Uint8Array, position: number): number => Buffer.from(bytes).copy(into, 0, position);
  return parseModel({ size: bytes.length, read }, file);
}

/** Fixtures and the residual state that `fixture.json` names as `hidden.2`: all that is later needs no more. */
describe.each([
  ['gpt2-ts-op14', '/m/transformer/h.1/Add_1_output_0'],
  ['llama-dynamo-op18-ext', 'add_746'],
])('%s in two halves', (name, middle) => {
  test('gives the same bits as the whole', async () => {
    const whole = prepare(readModel(fixture(name).model));
    const { inputs, outputs } = whole.graph;
    const output = outputs[0]?.name ?? '';
    const { feeds } = await loadFixture(name);

    const first = extract(whole, { inputs, outputs: [middle] });
    const between = await run(first, feeds, 'disabled');
    const fed = { name: middle, type: DataType.float, shape: [null, null, null] };
    const further = requiredInputs(whole.graph, output, middle);
    const second = extract(whole, { inputs: [fed, ...further], outputs: [output] });
    const results = await run(second, { ...feeds, ...between }, 'disabled');
    const expected = await run(extract(whole, { inputs, outputs: [output] }), feeds, 'disabled');

    expect(results[output]?.data).toEqual(expected[output]?.data);
    expect(results[output]?.dims).toEqual(expected[output]?.dims);
    const { graph: cut } = parsed(second.bytes, whole.file);
    expect(cut.nodes.length).toBeLessThan(whole.graph.nodes.length);
    expect(cut.initializers.size).toBeLessThan(whole.graph.initializers.size);
  });
});

describe('a cut', () => {
  const diamond = model({
    nodes: [
      node('Split', ['x'], ['a', 'b'], [intAttribute('num_outputs', 2)]),
      node('Neg', ['a'], ['c']),
      node('Add', ['c', 'b'], ['y']),
      node('Neg', ['z'], ['unused']),
    ],
    inputs: [value('x', [4]), value('z', [4])],
    outputs: [value('y', [2]), value('unused', [4])],
  });
  const two = (name: string) => ({ name, type: DataType.float, shape: [2] });
  const x = { name: 'x', type: DataType.float, shape: [4] };

  test('replaces one of several outputs of a node that it needs', async () => {
    const cut = extract(written(diamond), { inputs: [x, two('a')], outputs: ['y'] });
    const results = await run(cut, {
      x: new Tensor('float32', [1, 2, 3, 4], [4]),
      a: new Tensor('float32', [10, 20], [2]),
    });
    expect([...(results.y?.data ?? [])]).toEqual([3 - 10, 4 - 20]);
  });

  test('leaves out what it does not need', () => {
    const whole = written(diamond);
    const ops = (...inputs: (typeof x)[]) =>
      written(extract(whole, { inputs, outputs: ['y'] }).bytes).graph.nodes.map((each) => each.op);
    expect(ops(x)).toEqual(['Split', 'Neg', 'Add']);
    expect(ops(two('a'), two('b'))).toEqual(['Neg', 'Add']);
  });

  test('names the inputs it lacks', () => {
    const whole = written(diamond);
    expect(() => extract(whole, { inputs: [], outputs: ['y', 'unused'] })).toThrow(
      /also needs "x", "z"; feed them too/,
    );
  });

  test('refuses a value that nothing makes', () => {
    expect(() => extract(written(diamond), { inputs: [x], outputs: ['w'] })).toThrow(
      /Nothing in model.onnx makes.*"w"/,
    );
  });

  test('takes along what branches capture', async () => {
    const branch = (op: string) =>
      graph({ nodes: [node(op, ['h', 'w'], [`${op}-out`])], outputs: [value(`${op}-out`, [2])] });
    const whole = written(
      model({
        nodes: [
          node('Neg', ['x'], ['h']),
          node('ReduceMax', ['x'], ['m']),
          node('Less', ['m', 'limit'], ['c']),
          node(
            'If',
            ['c'],
            ['y'],
            [graphAttribute('then_branch', branch('Add')), graphAttribute('else_branch', branch('Mul'))],
          ),
        ],
        initializers: [floats('w', [2], [3, 5]), floats('limit', [], [10])],
        inputs: [value('x', [2])],
        outputs: [value('y', [2])],
      }),
    );
    const ifNode = whole.graph.nodes.find((each) => each.op === 'If');
    const index = indexGraph(whole.graph);
    expect(ifNode && index.inputsOf(ifNode)).toEqual(['c', 'h', 'w']);
    expect(index.consumers('h')).toEqual([ifNode]);
    expect(index.producer('h')?.op).toBe('Neg');
    expect(ifNode && index.position(ifNode)).toBe(3);
    const cut = extract(whole, { inputs: [two('x')], outputs: ['y'] });
    expect([...((await run(cut, { x: new Tensor('float32', [1, 2], [2]) })).y?.data ?? [])]).toEqual([3 - 1, 5 - 2]);
    expect([...((await run(cut, { x: new Tensor('float32', [10, 2], [2]) })).y?.data ?? [])]).toEqual([-30, -10]);
  });
});

describe('weights', () => {
  const numbers = Array.from({ length: 512 }, (_, i) => i / 8);
  const sum = {
    nodes: [node('Add', ['x', 'w'], ['y'])],
    inputs: [value('x', [512])],
    outputs: [value('y', [512])],
  };
  const ones = new Tensor('float32', new Float32Array(512).fill(1), [512]);
  const cutOf = (whole: Model) => extract(whole, { inputs: whole.graph.inputs, outputs: ['y'] });
  const expected = numbers.map((number) => number + 1);

  test('in a folder beside the model stay there', async () => {
    mkdirSync(join(folder, 'weights'), { recursive: true });
    const data = Buffer.concat([Buffer.from('pad'), Buffer.from(Float32Array.from(numbers).buffer)]);
    writeFileSync(join(folder, 'weights', 'part 1.bin'), data);
    const whole = written(
      model({ ...sum, initializers: [external('w', [512], { location: 'weights/part 1.bin', offset: '3' })] }),
    );
    const cut = cutOf(whole);
    expect(cut.bytes.length).toBeLessThan(1000);
    expect([...((await run(cut, { x: ones })).y?.data ?? [])]).toEqual(expected);
  });

  test('in the model file stay there', async () => {
    const cut = cutOf(written(model({ ...sum, initializers: [floats('w', [512], numbers)] })));
    expect(cut.bytes.length).toBeLessThan(1000);
    expect([...((await run(cut, { x: ones })).y?.data ?? [])]).toEqual(expected);
  });

  test('in float_data stay there too', async () => {
    const packed = new Uint8Array(Float32Array.from(numbers).buffer);
    const cut = cutOf(written(model({ ...sum, initializers: [tensor('w', [512], 1, [4, packed])] })));
    expect(cut.bytes.length).toBeLessThan(1000);
    expect([...((await run(cut, { x: ones })).y?.data ?? [])]).toEqual(expected);
  });

  test('in other typed fields are written out', async () => {
    const values = numbers.map((_, i) => [7, BigInt(i) - 5n] as const);
    const whole = written(
      model({
        nodes: [node('Add', ['x', 'w'], ['y'])],
        initializers: [tensor('w', [512], 7, ...values)],
        inputs: [value('x', [512], 7)],
        outputs: [value('y', [512], 7)],
      }),
    );
    const zeros = new Tensor('int64', new BigInt64Array(512), [512]);
    expect([...((await run(cutOf(whole), { x: zeros })).y?.data ?? [])]).toEqual(values.map(([, number]) => number));
  });

  test('of a branch that stays a branch stay there', async () => {
    const branch = (op: string) =>
      graph({
        nodes: [node(op, ['x', 'w'], ['r'])],
        initializers: [floats('w', [512], numbers)],
        outputs: [value('r', [512])],
      });
    const whole = written(
      model({
        ...sum,
        nodes: [
          node('ReduceMax', ['x'], ['m'], [intAttribute('keepdims', 0)]),
          node('Cast', ['m'], ['c'], [intAttribute('to', 9)]),
          node(
            'If',
            ['c'],
            ['y'],
            [graphAttribute('then_branch', branch('Add')), graphAttribute('else_branch', branch('Sub'))],
          ),
        ],
      }),
    );
    const cut = cutOf(whole);
    expect(cut.bytes.length).toBeLessThan(1500);
    expect([...((await run(cut, { x: ones })).y?.data ?? [])]).toEqual(expected);
  });

  test('of strings pass through', async () => {
    const whole = written(
      model({
        nodes: [node('Gather', ['words', 'x'], ['y'])],
        initializers: [tensor('words', [2], 8, [6, 'null\0byte'], [6, 'zweitens: ü'])],
        inputs: [value('x', [3], 7)],
        outputs: [value('y', [3], 8)],
      }),
    );
    const picks = new Tensor('int64', [1n, 0n, 1n], [3]);
    expect((await run(cutOf(whole), { x: picks })).y?.data).toEqual(['zweitens: ü', 'null\0byte', 'zweitens: ü']);
  });

  test('are not found in a data file that is gone', () => {
    const copy = join(folder, 'copy.onnx');
    copyFileSync(fixture('llama-dynamo-op18-ext').model, copy);
    expect(readFileSync(copy).length).toBeGreaterThan(0);
    expect(() => readModel(copy)).toThrow(/"model.onnx.data".*is missing/);
  });
});
