/** What a sequence has behind it, run by run. */
import { describe, expect, it } from 'vitest';
import type { CachePair } from '../../../src/anatomy/caches.js';
import { LaneCache } from '../../../src/engine/stages/cache.js';
import type { Value } from '../../../src/engine/tensors/value.js';
import { DataType } from '../../../src/onnx/model.js';

const pair: CachePair = {
  input: 'past',
  present: 'present',
  axis: 2,
  form: 'grows',
  room: Number.POSITIVE_INFINITY,
  added: 'new',
};
const heads = 2;
const width = 3;

/** Keys of `count` tokens from `first` on, [1, heads, count, width], each element telling where it belongs. */
function keys(first: number, count: number): Value {
  const elements = Array.from({ length: heads }, (_, head) =>
    Array.from({ length: count }, (_, token) =>
      Array.from({ length: width }, (_, dim) => 1000 * head + 10 * (first + token) + dim),
    ),
  );
  return { type: DataType.float, dims: [1, heads, count, width], data: Float32Array.from(elements.flat(2)) };
}

function add(cache: LaneCache, count: number, name: 'new' | 'present' = 'new'): void {
  cache.keep(new Map([[name, name === 'new' ? keys(cache.tokens, count) : keys(0, cache.tokens + count)]]));
  cache.passed(count);
}

const held = (cache: LaneCache) => cache.values.get('past');

describe('a cache that takes what is added to it', () => {
  it('holds what a run of everything would give', () => {
    const cache = new LaneCache([pair]);
    let count = 0;
    for (const more of [5, 1, 1, 3, ...Array<number>(40).fill(1)]) {
      add(cache, more);
      count += more;
      expect(held(cache)).toEqual(keys(0, count));
      expect(cache.bytes).toBe(4 * heads * width * count);
    }
  });

  it('stays where it is while there is room', () => {
    const cache = new LaneCache([pair]);
    const places = new Set<ArrayBufferLike | undefined>();
    for (const more of [200, ...Array<number>(24).fill(1)]) {
      add(cache, more);
      places.add(held(cache)?.data.buffer);
    }
    expect(places.size).toBeLessThan(5);
  });

  it('is not written over where another holds the same', () => {
    const cache = new LaneCache([pair]);
    for (const more of [64, 1, 1]) add(cache, more);
    const other = cache.copy();
    add(cache, 1);
    expect(held(other)).toEqual(keys(0, 66));
    add(other, 2);
    expect(held(cache)).toEqual(keys(0, 67));
    expect(held(other)).toEqual(keys(0, 68));
  });

  it('goes back, also out of a run that was not through', () => {
    const cache = new LaneCache([pair]);
    for (const more of [64, 1, 1]) add(cache, more);
    const before = held(cache);
    cache.keep(new Map([['new', keys(66, 4)]]));
    expect(held(cache)).toBe(before);
    expect(cache.reaches(66)).toBe(true);
    cache.back(66);
    expect(held(cache)).toEqual(keys(0, 66));
    cache.back(65);
    add(cache, 3);
    expect(held(cache)).toEqual(keys(0, 68));
  });

  it('is given whole by a graph without what is added', () => {
    const cache = new LaneCache([pair]);
    add(cache, 64, 'present');
    add(cache, 1);
    add(cache, 2, 'present');
    const given = held(cache);
    add(cache, 1);
    expect(given).toEqual(keys(0, 67));
    expect(held(cache)).toEqual(keys(0, 68));
  });
});

describe('a cache that the graph cuts', () => {
  const trimmed: CachePair = { ...pair, form: 'trims', added: undefined };
  const run = (cache: LaneCache, count: number, kept: number) => {
    cache.keep(new Map([['present', keys(cache.tokens + count - kept, kept)]]));
    cache.passed(count);
  };

  it('holds all until the first token is gone, and goes back no more from then on', () => {
    const cache = new LaneCache([trimmed]);
    run(cache, 3, 3);
    expect([cache.holds(5), cache.reaches(2)]).toEqual([true, true]);
    run(cache, 1, 4);
    expect(cache.holds(1)).toBe(true);
    run(cache, 1, 4);
    expect([cache.holds(1), cache.reaches(5), cache.reaches(4)]).toEqual([false, true, false]);
  });

  it('does not go back out of a run that was not through', () => {
    const cache = new LaneCache([trimmed]);
    run(cache, 2, 2);
    // Five tokens in all, of which the first is cut off already.
    cache.keep(new Map([['present', keys(1, 4)]]));
    expect([cache.reaches(2), cache.reaches(1)]).toEqual([false, false]);
  });
});

it('a state is what the last run left, and goes nowhere back', () => {
  const cache = new LaneCache([{ ...pair, form: 'state', added: undefined }]);
  for (const count of [3, 1]) {
    cache.keep(new Map([['present', keys(count, 2)]]));
    cache.passed(count);
  }
  expect(held(cache)).toEqual(keys(1, 2));
  expect([cache.holds(100), cache.reaches(4), cache.reaches(3)]).toEqual([true, true, false]);
});
