import { mkdtempSync, realpathSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import type { Tensor } from '../../../src/onnx/model.js';
import { readModel } from '../../../src/onnx/read.js';
import { constantNumbers, readTensor } from '../../../src/onnx/tensor.js';
import { floats, model, tensor, value } from '../../support/build.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-tensor-')));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'model.onnx');

/** The weight `w` of a model that has nothing else. */
function weight(bytes: Uint8Array): Tensor {
  writeFileSync(file, model({ initializers: [bytes], outputs: [value('w')] }));
  const found = readModel(file).graph.initializers.get('w');
  if (!found) throw new Error('no weight');
  return found;
}

const raw = (type: number, hex: string, count: number): Uint8Array =>
  tensor('w', [count], type, [9, Buffer.from(hex, 'hex')]);
const typed = (type: number, field: number, values: readonly bigint[]): Uint8Array =>
  tensor('w', [values.length], type, ...values.map((each) => [field, each] as const));

describe('numbers of every type (bit patterns by hand from IEEE 754 and two’s complement)', () => {
  test.each<[string, Uint8Array, number[]]>([
    ['float', raw(1, '0000803f000000c0', 2), [1, -2]],
    ['uint8', raw(2, '00ff', 2), [0, 255]],
    ['int8', raw(3, '00ff80', 3), [0, -1, -128]],
    ['uint16', raw(4, 'ffff', 1), [65535]],
    ['int16', raw(5, 'feff', 1), [-2]],
    ['int32', raw(6, 'fdffffff', 1), [-3]],
    ['int64', raw(7, 'fcffffffffffffff', 1), [-4]],
    ['bool', raw(9, '0001', 2), [0, 1]],
    ['float16', raw(10, '003c00c0ff7b01000080007c', 6), [1, -2, 65504, 2 ** -24, -0, Number.POSITIVE_INFINITY]],
    ['double', raw(11, '000000000000f03f', 1), [1]],
    ['uint32', raw(12, 'ffffffff', 1), [2 ** 32 - 1]],
    ['uint64', raw(13, '0100000001000000', 1), [2 ** 32 + 1]],
    ['bfloat16', raw(16, '803f00c0c842', 3), [1, -2, 100]],
    ['float16 in int32_data', typed(10, 5, [0x3c00n, 0xc000n]), [1, -2]],
    ['bfloat16 in int32_data', typed(16, 5, [0x3f80n]), [1]],
    ['int8 in int32_data', typed(3, 5, [-1n, 127n]), [-1, 127]],
    ['bool in int32_data', typed(9, 5, [1n, 0n]), [1, 0]],
    ['int32 in int32_data', typed(6, 5, [-7n, 2n ** 31n - 1n]), [-7, 2 ** 31 - 1]],
    ['int64 in int64_data', typed(7, 7, [-1n, 5n]), [-1, 5]],
    ['uint32 in uint64_data', typed(12, 11, [4294967295n]), [4294967295]],
    ['packed int64_data', tensor('w', [3], 7, [7, Uint8Array.of(1, 0x80, 1, 2)]), [1, 128, 2]],
    ['packed float_data', tensor('w', [1], 1, [4, Buffer.from('0000803f', 'hex')]), [1]],
    ['packed double_data', tensor('w', [1], 11, [10, Buffer.from('000000000000f03f', 'hex')]), [1]],
  ])('%s', (_, bytes, expected) => {
    expect(constantNumbers(weight(bytes))).toEqual(expected);
  });

  test('NaN', () => {
    expect(constantNumbers(weight(raw(10, '017c', 1)))).toEqual([Number.NaN]);
  });

  test('a scalar', () => {
    expect(constantNumbers(weight(floats('w', [], [2.5])))).toEqual([2.5]);
  });

  test.each<[string, Uint8Array]>([
    ['more than 4,096 elements', tensor('w', [4097], 2, [9, new Uint8Array(4097)])],
    ['4-bit elements', raw(22, '10', 2)],
    ['strings', tensor('w', [1], 8, [6, 'text'])],
  ])('not of %s', (_, bytes) => {
    expect(() => constantNumbers(weight(bytes))).toThrow(/"w".*small numeric constant/);
  });
});

test('4-bit elements are two to a byte, also in int32_data', () => {
  expect([...readTensor(weight(raw(22, '2143', 4)))]).toEqual([0x21, 0x43]);
  expect([...readTensor(weight(tensor('w', [3], 21, [5, 0x21], [5, 0x03])))]).toEqual([0x21, 0x03]);
});

test('small tensors are held, large ones stay in the file', () => {
  const bytes = (count: number): Uint8Array => tensor('w', [count], 2, [9, new Uint8Array(count).fill(7)]);
  expect(weight(bytes(1024)).data).toBeInstanceOf(Uint8Array);
  const large = weight(bytes(1025));
  expect(large.data).toMatchObject({ file, length: 1025 });
  expect(readTensor(large)).toEqual(new Uint8Array(1025).fill(7));
});

test('a file that shrank is said to have', () => {
  const large = weight(tensor('w', [5000], 2, [9, new Uint8Array(5000)]));
  truncateSync(file, 100);
  expect(() => readTensor(large)).toThrow(/has become shorter/);
  rmSync(file);
  expect(() => readTensor(large)).toThrow(SinkscopeError);
});
