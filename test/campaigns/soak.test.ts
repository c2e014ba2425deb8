import { expect, it } from 'vitest';
import { soak } from './soak.js';
import { unwatchable } from './watch.js';

it('memory and open files do not grow with the number of runs', async (context) => {
  if (unwatchable) return context.skip(unwatchable);
  const { wrong } = await soak('one model', 32);
  expect(wrong).toEqual([]);
});
