import { beforeAll, expect, it } from 'vitest';
import { build } from '../process/cli/sinkscope.js';
import { soak } from './soak.js';
import { unwatchable } from './watch.js';

beforeAll(build, 120_000);

it.skipIf(unwatchable)('memory and open files do not grow with the number of runs', async () => {
  const { wrong } = await soak('one model', 32);
  expect(wrong).toEqual([]);
});
