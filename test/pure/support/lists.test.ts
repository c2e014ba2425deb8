/** The helpers that tests look through fail where there is nothing to see. */
import { expect, it } from 'vitest';
import { at, found, pairs } from '../../support/lists.js';

it('finds what is there and fails where it is not', () => {
  expect(found([1, 2, 3], (value) => value > 1)).toBe(2);
  expect(found([undefined], (value) => value === undefined)).toBeUndefined();
  expect(() => found([1, 2], (value) => value > 2)).toThrow(/^None of the 2 is it: .*value > 2/);
  expect(() => found(undefined, () => true)).toThrow('no list');
});

it('takes what stands at a place and fails beyond the ends', () => {
  expect([at('abc', 0), at([1, 2], -1), at([[1], Float32Array.of(2, 3)], 1, 1)]).toEqual(['a', 2, 3]);
  for (const index of [2, -3, 0.5]) expect(() => at([1, 2], index)).toThrow('no element');
  expect(() => at(undefined, 0)).toThrow('no element');
  expect(() => at([[1], []], 1, 0)).toThrow('no element');
});

it('pairs lists of one length and fails for others, and for empty ones', () => {
  expect(pairs([1, 2], Float32Array.of(3, 4))).toEqual([
    [1, 3],
    [2, 4],
  ]);
  expect(() => pairs([1], [1, 2])).toThrow('1 and 2 elements');
  expect(() => pairs([], [])).toThrow('0 and 0 elements');
  expect(() => pairs(undefined, [1])).toThrow('no and 1 elements');
});
