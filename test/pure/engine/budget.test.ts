import { totalmem } from 'node:os';
import { expect, it } from 'vitest';
import { defaultBudget } from '../../../src/engine/host/budget.js';

const gigabyte = 2 ** 30;

it.each([
  ['a laptop of 8 GB', 8 * gigabyte, 0, 2 * gigabyte],
  ['a container of 2 GB on a large server', 512 * gigabyte, 2 * gigabyte, gigabyte / 2],
  // Where nothing limits a process, Node.js may give a number beyond all memory.
  ['a server without limits', 64 * gigabyte, 2 ** 64, 16 * gigabyte],
  ['a machine whose memory is no whole number of megabytes', 8 * gigabyte + 5, 0, 2 * gigabyte],
])('is a quarter of the memory of %s', (_, total, limit, budget) => {
  expect(defaultBudget(total, limit)).toBe(budget);
});

it('is some of this machine', () => {
  expect(defaultBudget()).toBeGreaterThan(0);
  expect(defaultBudget()).toBeLessThanOrEqual(totalmem() / 4);
});
