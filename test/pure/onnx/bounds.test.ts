/** Files of many small parts are refused before they take time and memory: see docs/limits.md. */
import { describe, expect, test } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import type { Model } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { parseModel } from '../../../src/onnx/read.js';
import { message, model, node, opset, value } from '../../support/build.js';

function parse(bytes: Uint8Array): Model {
  const read = (into: Uint8Array, position: number) => {
    const part = bytes.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  };
  return parseModel({ size: bytes.length, read }, '/models/model.onnx');
}

/** The sentence with which it is refused. */
function refused(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (SinkscopeError.is(error)) return error.message;
    throw error;
  }
  throw new Error('it was taken');
}

const repeated = (field: Uint8Array, count: number) => Buffer.alloc(field.length * count, field);
const holding = (...parts: readonly Uint8Array[]) => message([1, 10], [7, Buffer.concat(parts)], [8, opset('', 18)]);
const field = (number: number, content: Uint8Array) => message([number, content]);

describe('a model of more than any has', () => {
  const attribute = message([1, 'a'], [3, 1], [20, 2]);
  test.each<[string, Uint8Array, RegExp]>([
    ['nodes', repeated(field(1, message([4, 'A'])), 600_000), /more than 500,000 nodes/],
    [
      'nodes in a branch',
      field(
        1,
        message([4, 'If'], [5, message([1, 'a'], [6, repeated(field(1, message([4, 'A'])), 600_000)], [20, 5])]),
      ),
      /more than 500,000 nodes/,
    ],
    ['nodes without an operator', repeated(field(1, new Uint8Array(0)), 4_000_000), /names no operator/],
    [
      'attributes',
      field(1, Buffer.concat([message([4, 'A']), repeated(field(5, attribute), 4_000_000)])),
      /held in memory/,
    ],
    ['fields', repeated(message([14, 1]), 11_000_000), /more parts than any model has/],
  ])('%s', (_, parts, message) => {
    expect(refused(() => parse(holding(parts)))).toMatch(message);
  });
});

describe('functions', () => {
  const functionOf = (name: string, ...fields: readonly (readonly [number, Uint8Array | string])[]) =>
    message([1, name], ...fields, [9, opset('', 18)], [9, opset('local', 1)], [10, 'local']);
  const calls = (count: number) => Array.from({ length: count }, (_, i) => node('f0', ['x'], [`y${i}`], [], 'local'));
  const outputs = [value('y0', [4])];
  const inputs = [value('x', [4])];
  const expand = (count: number, functions: readonly Uint8Array[]) => () =>
    prepare(parse(model({ nodes: calls(count), functions, inputs, outputs })));

  test('that double sixty times are refused', () => {
    const functions = Array.from({ length: 60 }, (_, i) => {
      const call = (output: string) => [7, node(`f${i + 1}`, ['x'], [output], [], 'local')] as const;
      return functionOf(`f${i}`, [4, 'x'], [5, 'y'], call('y'), call('z'));
    });
    const last = functionOf('f60', [4, 'x'], [5, 'y'], [7, node('Relu', ['x'], ['y'])]);
    expect(refused(expand(1, [...functions, last]))).toMatch(/expand to more than 200,000 nodes/);
  });

  test('of which few calls make many values are refused', () => {
    const many = Array.from({ length: 50_000 }, (_, i) => `v${i}`);
    const wide = functionOf('f0', [4, 'x'], [5, 'v0'], [7, node('Split', ['x'], many)]);
    expect(refused(expand(100, [wide]))).toMatch(/expand to more than 1,500,000 parts/);
  });

  test('that call each other by long names do not make longer ones', () => {
    const name = 'n'.repeat(5_000);
    const named = (op: string) =>
      Buffer.concat([node(op, ['x'], ['y'], [], op === 'Relu' ? '' : 'local'), message([3, name])]);
    const functions = Array.from({ length: 40 }, (_, i) =>
      functionOf(`f${i}`, [4, 'x'], [5, 'y'], [7, named(i === 39 ? 'Relu' : `f${i + 1}`)]),
    );
    const { graph: flat } = expand(1, functions)();
    expect(flat.nodes.map(({ op }) => op)).toEqual(['Relu']);
    expect(Math.max(...flat.nodes.map((one) => one.name.length))).toBeLessThanOrEqual(512);
  });
});
