/** Sparse weights made dense; the places are those of the ONNX specification (SparseTensorProto). */
import { describe, expect, it } from 'vitest';
import { DataType, type Tensor } from '../../../src/onnx/model.js';
import { dense } from '../../../src/onnx/sparse.js';

const values = (...numbers: number[]): Tensor => ({
  name: 'w',
  type: DataType.float,
  dims: [numbers.length],
  data: new Uint8Array(Float32Array.from(numbers).buffer),
});

const indices = (dims: readonly number[], ...numbers: number[]): Tensor => ({
  name: '',
  type: DataType.int64,
  dims,
  data: new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer),
});

const numbersOf = ({ data }: Tensor) => (data instanceof Uint8Array ? [...new Float32Array(data.buffer)] : []);
const free = () => undefined;

describe('a sparse weight', () => {
  it('has its values where its indices say, one number or one for each axis', () => {
    const flat = dense(values(1, 2), indices([2], 1, 5), [2, 3], free);
    expect(flat).toMatchObject({ name: 'w', type: DataType.float, dims: [2, 3] });
    expect(numbersOf(flat)).toEqual([0, 1, 0, 0, 0, 2]);
    expect(numbersOf(dense(values(1, 2), indices([2, 2], 0, 1, 1, 2), [2, 3], free))).toEqual([0, 1, 0, 0, 0, 2]);
  });

  // As ONNX Runtime writes them, which reads all four.
  it.each([
    [DataType.int32, new Int32Array([1, 5])],
    [DataType.int16, new Int16Array([1, 5])],
    [DataType.int8, new Int8Array([1, 5])],
  ])('may have indices of type %i', (type, { buffer }) => {
    const narrow = { ...indices([2]), type, data: new Uint8Array(buffer) };
    expect(numbersOf(dense(values(1, 2), narrow, [2, 3], free))).toEqual([0, 1, 0, 0, 0, 2]);
  });

  it('says which type of indices it cannot take', () => {
    const wrong = { ...indices([2], 1, 5), type: DataType.float };
    expect(() => dense(values(1, 2), wrong, [2, 3], free)).toThrow(/the sparse weight "w" has indices of type 1,/);
  });

  it.each<[string, Tensor, readonly number[]]>([
    ['lie outside', indices([2], 1, 6), [2, 3]],
    ['lie before the first', indices([2], -1, 1), [2, 3]],
    ['lie outside of an axis', indices([2, 2], 0, 3, 1, 0), [2, 3]],
    ['are fewer than its values', indices([1], 1), [2, 3]],
    ['have other axes', indices([2, 3], 0, 0, 0, 1, 1, 1), [2, 3]],
    ['are of a weight without elements', indices([2], 0, 1), [0, 3]],
    ['are of a weight that takes more than 2 GB', indices([2], 0, 1), [2 ** 20, 2 ** 20]],
  ])('is refused where its indices %s', (_, places, dims) => {
    expect(() => dense(values(1, 2), places, dims, free)).toThrow(/the sparse weight "w"/);
  });

  it('is counted before it is allocated', () => {
    const held: number[] = [];
    dense(values(1), indices([1], 0), [4, 4], (bytes) => held.push(bytes));
    expect(held).toEqual([64]);
  });
});
