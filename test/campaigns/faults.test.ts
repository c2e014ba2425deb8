import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Arena, closeArena, openArena, play, turnsOf } from './faults.js';
import { hows, roundOf } from './rounds.js';
import { unwatchable } from './watch.js';

let arena: Arena;
beforeAll(() => {
  arena = openArena();
});
afterAll(() => closeArena(arena));
beforeEach((context) => {
  if (unwatchable) context.skip(unwatchable);
});

/** What was wrong about the rounds of these seeds, and how many disturbed anything. */
async function played(kind: string, seeds: readonly number[]) {
  const wrong: string[] = [];
  let disturbed = 0;
  for (const seed of seeds) {
    const outcome = await play(arena, roundOf(kind, seed));
    if (outcome.end !== 'undisturbed') disturbed++;
    wrong.push(...outcome.wrong.map((rule) => `${kind} ${seed}: ${rule}`));
  }
  return { wrong, disturbed };
}

describe('what saves a result', () => {
  it('has each operation on the disk fail in turn, one half of the ways at one and the other at the next', async (context) => {
    const seeds = await turnsOf(arena, 'merge');
    if (seeds.length === 0) return context.skip('there is no C compiler');
    const some = seeds.filter((_, index) => (Math.floor(index / hows.length) + index) % 2 === 0);
    expect(await played('turn', some)).toEqual({ wrong: [], disturbed: some.length });
  });

  it('has some operations fail in the middle of a large file', async (context) => {
    const seeds = await turnsOf(arena, 'analyze');
    if (seeds.length === 0) return context.skip('there is no C compiler');
    const some = seeds.filter((_, index) => index % 101 === 0);
    expect(await played('turn', some)).toEqual({ wrong: [], disturbed: some.length });
  });

  // Early enough to disturb, and mostly of commands that are short.
  it.each([
    ['is killed', 'kill', [9, 12]],
    ['finds the disk full', 'disk', [8, 12]],
    ['cannot print', 'output', [10, 12]],
    ['finds its files changed', 'change', [9, 12]],
    ['is ended while its engine is at work', 'orphan', [1, 2, 3]],
  ])('%s', async (_, kind, seeds) => {
    const { wrong, disturbed } = await played(kind, seeds);
    expect(wrong).toEqual([]);
    expect(disturbed).toBeGreaterThan(0);
  });
});
