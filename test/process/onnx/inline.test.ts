import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, test } from 'vitest';
import { indexGraph } from '../../../src/onnx/graph.js';
import type { Model } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import {
  floats,
  graph,
  graphAttribute,
  intAttribute,
  message,
  model,
  node,
  opset,
  tensor,
  value,
} from '../../support/build.js';
import { preparedAsFile } from './zoo.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-inline-')));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'model.onnx');

function prepared(bytes: Uint8Array): Model {
  writeFileSync(file, bytes);
  return prepare(readModel(file));
}

const x = new Tensor('float32', [1, -2, 3, -4], [2, 2]);

const sameAsFile = preparedAsFile.bind(undefined, file);

const ops = (flat: Model): string[] => flat.graph.nodes.map((each) => each.op);

describe('functions', () => {
  const definition = (
    name: string,
    inputs: readonly string[],
    outputs: readonly string[],
    nodes: readonly Uint8Array[],
    ...more: readonly (readonly [number, string | Uint8Array])[]
  ): Uint8Array =>
    message(
      [1, name],
      ...inputs.map((each) => [4, each] as const),
      ...outputs.map((each) => [5, each] as const),
      ...nodes.map((each) => [7, each] as const),
      [9, opset('', 18)],
      [9, opset('local', 1)],
      [10, 'local'],
      ...more,
    );
  const reference = (name: string, of: string): Uint8Array => message([1, name], [20, 2], [21, of]);
  const io = { inputs: [value('x', [2, 2])], outputs: [value('y', ['a', 'b'])] };

  test('are put in place of their calls, each with names and attributes of its own', async () => {
    const shift = definition(
      'Shift',
      ['v'],
      ['w'],
      [
        node('Softmax', ['v'], ['t'], [reference('axis', 'dim')]),
        node('Cast', ['t'], ['u'], [reference('to', 'type')]),
        node('Cast', ['u'], ['w'], [intAttribute('to', 1)]),
      ],
      [6, 'dim'],
      [11, intAttribute('type', 11)],
    );
    const flat = await sameAsFile(
      model({
        ...io,
        functions: [shift],
        nodes: [
          node('Shift', ['x'], ['t'], [intAttribute('dim', 0)], 'local'),
          node('Shift', ['t'], ['u'], [intAttribute('dim', 1), intAttribute('type', 1)], 'local'),
          node('Add', ['t', 'u'], ['y']),
        ],
      }),
      { x },
    );
    expect(ops(flat)).toEqual(['Softmax', 'Cast', 'Cast', 'Softmax', 'Cast', 'Cast', 'Add']);
    expect(flat.functions).toEqual([]);
  });

  test('may call functions, leave inputs out, pass inputs on and capture them in branches', async () => {
    const branch = (op: string) =>
      graphAttribute(
        op === 'Neg' ? 'then_branch' : 'else_branch',
        graph({ nodes: [node(op, ['a'], ['r'])], outputs: [value('r', ['p', 'q'])] }),
      );
    const inner = definition(
      'Inner',
      ['a', 'low'],
      ['r', 's'],
      [
        node('Clip', ['a', 'low'], ['s']),
        node('ReduceMax', ['a', ''], ['m'], [intAttribute('keepdims', 0)]),
        node('Cast', ['m'], ['c'], [intAttribute('to', 9)]),
        node('If', ['c'], ['r'], [branch('Neg'), branch('Abs')]),
      ],
    );
    const outer = definition(
      'Outer',
      ['a'],
      ['r', 'a2'],
      [node('Inner', ['a'], ['n', 's'], [], 'local'), node('Add', ['n', 's'], ['r']), node('Identity', ['a'], ['a2'])],
    );
    const flat = await sameAsFile(
      model({
        ...io,
        functions: [inner, outer],
        nodes: [node('Outer', ['x'], ['r', 'm'], [], 'local'), node('Sub', ['r', 'm'], ['y'])],
      }),
      { x },
    );
    expect(ops(flat)).toEqual(['Clip', 'ReduceMax', 'Cast', 'If', 'Add', 'Identity', 'Sub']);
  });

  test('that call themselves are refused', () => {
    const again = definition('Again', ['a'], ['r'], [node('Again', ['a'], ['r'], [], 'local')]);
    expect(() =>
      prepared(model({ ...io, functions: [again], nodes: [node('Again', ['x'], ['y'], [], 'local')] })),
    ).toThrow(/calls itself/);
  });

  test('that multiply without end are refused', () => {
    const levels = Array.from({ length: 40 }, (_, i) => {
      const callee = (input: string, output: string): Uint8Array =>
        i === 0 ? node('Neg', [input], [output]) : node(`F${i - 1}`, [input], [output], [], 'local');
      return definition(`F${i}`, ['a'], ['r'], [callee('a', 'b'), callee('b', 'r')]);
    });
    expect(() =>
      prepared(model({ ...io, functions: levels, nodes: [node('F39', ['x'], ['y'], [], 'local')] })),
    ).toThrow(/expand to more than/);
  });
});

describe('branches', () => {
  const flag = (name: string, number: number): Uint8Array => tensor(name, [], 9, [9, Uint8Array.of(number)]);
  const branch = (name: string, ...nodes: readonly Uint8Array[]): Uint8Array =>
    graphAttribute(
      name,
      graph({ nodes, initializers: [floats('two', [], [2])], outputs: [value('r', [2, 2]), value('s', [2, 2])] }),
    );
  const thenBranch = branch('then_branch', node('Mul', ['h', 'two'], ['r']), node('Neg', ['r'], ['s']));
  const elseBranch = branch('else_branch', node('Add', ['h', 'two'], ['r']), node('Abs', ['h'], ['s']));
  const whole = (condition: string, more: { inputs?: Uint8Array[]; initializers?: Uint8Array[] }): Uint8Array =>
    model({
      nodes: [
        node('Neg', ['x'], ['h']),
        node('If', [condition], ['a', 'b'], [thenBranch, elseBranch]),
        node('Mul', ['two', 'a'], ['r']),
        node('Add', ['r', 'b'], ['y']),
      ],
      initializers: [floats('two', [], [20]), ...(more.initializers ?? [])],
      inputs: [value('x', [2, 2]), ...(more.inputs ?? [])],
      outputs: [value('y', [2, 2])],
    });

  test.each([
    [1, ['Neg', 'Mul', 'Neg', 'Mul', 'Add']],
    [0, ['Neg', 'Add', 'Abs', 'Mul', 'Add']],
  ])('with the constant %i are taken, names kept apart', async (number, expected) => {
    const flat = await sameAsFile(whole('c', { initializers: [flag('c', number)] }), { x });
    expect(ops(flat)).toEqual(expected);
  });

  test('with a flag among the inputs are those of false, and the flag stays an input, unread', async () => {
    const flat = await sameAsFile(whole('c', { inputs: [value('c', [], 9)] }), {
      x,
      c: new Tensor('bool', [false], []),
    });
    expect(ops(flat)).toEqual(['Neg', 'Add', 'Abs', 'Mul', 'Add']);
    expect(flat.graph.inputs.map((input) => input.name)).toEqual(['x', 'c']);
    expect(indexGraph(flat.graph).consumers('c')).toEqual([]);
  });

  test('that are chosen while running stay', async () => {
    const bytes = model({
      nodes: [
        node('Neg', ['x'], ['h']),
        node('ReduceMax', ['x'], ['m'], [intAttribute('keepdims', 0)]),
        node('Cast', ['m'], ['c'], [intAttribute('to', 9)]),
        node('If', ['c'], ['a', 'y'], [thenBranch, elseBranch]),
      ],
      inputs: [value('x', [2, 2])],
      outputs: [value('y', [2, 2])],
    });
    const flat = await sameAsFile(bytes, { x });
    expect(ops(flat)).toContain('If');
  });

  test('within branches, chosen by a constant of the branch, are taken too', async () => {
    const constant = node('Constant', [], ['c2'], [message([1, 'value'], [5, flag('', 1)], [20, 4])]);
    const inner = graph({ nodes: [node('Abs', ['k'], ['i'])], outputs: [value('i', [2, 2])] });
    const outer = graph({
      nodes: [
        node('Neg', ['x'], ['k']),
        constant,
        node('If', ['c2'], ['r'], [graphAttribute('then_branch', inner), graphAttribute('else_branch', inner)]),
      ],
      outputs: [value('r', [2, 2])],
    });
    const flat = await sameAsFile(
      model({
        nodes: [node('If', ['c'], ['y'], [graphAttribute('then_branch', outer), graphAttribute('else_branch', outer)])],
        initializers: [flag('c', 1)],
        inputs: [value('x', [2, 2])],
        outputs: [value('y', [2, 2])],
      }),
      { x },
    );
    expect(ops(flat)).toEqual(['Neg', 'Abs']);
  });

  test('that pass on a value from outside do so', async () => {
    const passing = graph({ nodes: [node('Identity', ['x'], ['p'])], outputs: [value('p', [2, 2])] });
    const flat = await sameAsFile(
      model({
        nodes: [
          node('If', ['c'], ['y'], [graphAttribute('then_branch', passing), graphAttribute('else_branch', passing)]),
        ],
        initializers: [flag('c', 0)],
        inputs: [value('x', [2, 2])],
        outputs: [value('y', [2, 2])],
      }),
      { x },
    );
    expect(ops(flat)).toEqual(['Identity']);
  });
});
