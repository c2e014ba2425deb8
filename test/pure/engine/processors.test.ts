import { expect, it } from 'vitest';
import { processorsEach, processorsGiven } from '../../../src/processors.js';

it.each([
  ['nothing said, all there are', undefined, 8, 8, 0],
  ['nothing said, some of them', undefined, 2, 8, 2],
  ['fewer than there are', '3', 8, 8, 3],
  ['more than the process was given', '16', 2, 8, 2],
  ['a number for each level', ' 4 , 2', 8, 8, 4],
  ['no number', 'many', 8, 8, 0],
  ['none', '0', 8, 8, 0],
  ['less than none', '-1', 2, 8, 2],
])('%s', (_, said, available, all, expected) => {
  expect(processorsGiven(said, available, all)).toBe(expected);
});

it.each([
  ['all there are', 2, undefined, 8, 8, 4],
  ['what was said', 2, '4', 8, 8, 2],
  ['what the process was given', 3, undefined, 6, 16, 2],
  ['fewer than processes', 4, '2', 8, 8, 1],
])('processes share %s', (_, processes, said, available, all, expected) => {
  expect(processorsEach(processes, said, available, all)).toBe(expected);
});
