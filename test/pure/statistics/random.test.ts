import { describe, expect, it } from 'vitest';
import { uniform } from '../../../src/statistics/random.js';

/** The first numbers of a seed, as the 32 bits that they are made of. */
function words(seed: number, count: number): number[] {
  const random = uniform(seed);
  return Array.from({ length: count }, () => random() * 2 ** 32);
}

describe('uniform', () => {
  // The mixing function is MurmurHash3's, so these are its 32-bit hashes of nothing with seeds that are steps of the
  // golden ratio apart: mmh3.hash(b'', (seed + k * 0x9e3779b9) % 2**32, signed=False) for k from 1 on, by mmh3 5.2.
  it.each([
    [0, [2462723854, 1020716019, 454327756, 1275600319, 1215922603]],
    [1, [2527132011, 314344336, 2535364964, 2041432039, 1495043544]],
    [-1, [920564995, 4230986166, 697614773, 1778835764, 280495159]],
    [2 ** 31, [3172115818, 304882621, 205969554, 3182573129, 2043043288]],
    [20240217, [1833380388, 14640488, 1464096521, 22312685, 2666561278]],
  ])('from seed %i gives the numbers of SplitMix', (seed, expected) => {
    expect(words(seed, expected.length)).toEqual(expected);
  });

  it('takes of a seed what 32 bits hold', () => {
    expect(words(2 ** 32 + 7, 3)).toEqual(words(7, 3));
  });

  it('is even over its whole range, and never 1', () => {
    const random = uniform(3);
    const counts = new Uint32Array(16);
    let greatest = 0;
    for (let draw = 0; draw < 160_000; draw++) {
      const value = random();
      greatest = Math.max(greatest, value);
      counts[Math.floor(value * 16)] = (counts[Math.floor(value * 16)] ?? 0) + 1;
    }
    expect(greatest).toBeLessThan(1);
    // Chi-squared with 15 degrees of freedom is above 37.7 in one of a thousand seeds; this is one seed.
    expect(counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)).toBeLessThan(37.7);
  });
});
