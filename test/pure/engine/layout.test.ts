import { describe, expect, it } from 'vitest';
import { layoutOf, tokenPattern, tokenRows } from '../../../src/engine/tensors/layout.js';
import { cropPattern } from '../../../src/engine/tensors/patterns.js';
import type { Value } from '../../../src/engine/tensors/value.js';
import { DataType } from '../../../src/onnx/model.js';

/** A tensor whose entries say where they are: 123 is at [1, 2, 3]. */
function numbered(...dims: number[]): Value {
  const size = dims.reduce((product, extent) => product * extent, 1);
  const data = Float32Array.from({ length: size }, (_, at) => {
    let [rest, number] = [at, 0];
    for (let axis = dims.length - 1, place = 1; axis >= 0; axis--, place *= 10) {
      const extent = dims[axis] ?? 1;
      number += place * (rest % extent);
      rest = Math.floor(rest / extent);
    }
    return number;
  });
  return { type: DataType.float, dims, data };
}

describe('rows of tokens', () => {
  it.each<[string, Value, number | undefined, number[], number[]]>([
    ['all but the last axis, where none is chosen', numbered(1, 2, 3), undefined, [1, 2, 3], [0, 1, 2, 10, 11, 12]],
    ['of the axis chosen, with the first of the others', numbered(2, 2, 3), 1, [2, 3], [0, 1, 2, 10, 11, 12]],
    ['of the first axis', numbered(2, 2, 3), 0, [2, 3], [0, 1, 2, 100, 101, 102]],
    ['of the last axis, where the one before holds the dims', numbered(2, 2, 3), 2, [3, 2], [0, 10, 1, 11, 2, 12]],
    ['of a state that has no other axis', numbered(3), 0, [3], [0, 1, 2]],
  ])('are those %s', (_, state, axis, dims, data) => {
    const rows = tokenRows(state, axis);
    expect([rows.dims, [...rows.data]]).toEqual([dims, data]);
  });
});

describe('a layout', () => {
  it('is told by the input, else by h_0', () => {
    expect(layoutOf(numbered(1, 5, 2), { tokens: 3, positions: 5 })).toMatchObject({ tokens: 3, positions: 5 });
    expect(layoutOf(numbered(1, 5, 2), {})).toMatchObject({ tokens: 5, positions: 5 });
    expect(layoutOf(numbered(4, 5, 2), { axis: 0 })).toMatchObject({ tokens: 4, positions: 4, axis: 0 });
  });

  it('asks which axis it is where two could be, and refuses one that is not there', () => {
    const problem = { code: 'input', axes: [4, 5, 2] };
    expect(() => layoutOf(numbered(4, 5, 2), {})).toThrow(expect.objectContaining(problem));
    expect(() => layoutOf(numbered(4, 5, 2), { axis: 3 })).toThrow(/there is no axis 3.*--token-axis/);
  });

  it('takes the pattern of the first example where an axis is chosen', () => {
    const { heads, queries, keys, values } = tokenPattern(
      numbered(2, 1, 2, 2),
      { tokens: 2, positions: 2, axis: 1, unfilled: { before: 0, behind: false } },
      'm.onnx',
    );
    expect([heads, queries, keys, [...values]]).toEqual([1, 2, 2, [0, 1, 10, 11]]);
  });
});

describe('a pattern that is cropped to its tokens', () => {
  /** [heads, queries, keys] */
  const pattern = (heads: number, rows: readonly (readonly number[])[]) => ({
    heads,
    queries: rows.length / heads,
    keys: rows[0]?.length ?? 0,
    values: Float32Array.from(rows.flat()),
  });
  const quarters = [
    [4, 0, 0],
    [1, 3, 0],
    [2, 1, 1],
  ];

  it('loses the queries and keys of the padding, head by head', () => {
    const cropped = cropPattern(pattern(2, [...quarters, [4, 0, 0], [2, 2, 0], [1, 1, 2]]), 2, 'm.onnx');
    expect(cropped).toMatchObject({ heads: 2, queries: 2, keys: 2 });
    expect([...cropped.values]).toEqual([4, 0, 1, 3, 4, 0, 2, 2]);
  });

  it('keeps columns that belong to no token, before the tokens or after them', () => {
    const first = cropPattern(
      pattern(
        1,
        quarters.map((row) => [7, ...row]),
      ),
      2,
      'm.onnx',
    );
    expect([first.keys, [...first.values]]).toEqual([3, [7, 4, 0, 7, 1, 3]]);
    const last = cropPattern(
      pattern(
        1,
        quarters.map((row) => [...row, 7]),
      ),
      2,
      'm.onnx',
    );
    expect([last.keys, [...last.values]]).toEqual([3, [4, 0, 7, 1, 3, 7]]);
  });

  it('is refused where the padding is seen by what comes before it', () => {
    const full = pattern(1, [
      [2, 1, 1],
      [1, 2, 1],
      [1, 1, 2],
    ]);
    expect(() => cropPattern(full, 2, 'm.onnx')).toThrow(/m\.onnx was exported for exactly 3 tokens .* give it 3\.$/);
  });
});
