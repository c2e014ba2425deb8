import { describe, expect, it } from 'vitest';
import type { Input } from '../../../src/anatomy/anatomy.js';
import { fedInputs, fixedLength, makeFeeds } from '../../../src/engine/inputs/feeds.js';
import { filled, numbers } from '../../../src/engine/tensors/value.js';
import { DataType } from '../../../src/onnx/model.js';

function input(role: Input['role'], type: DataType, shape: Input['shape'], more: Partial<Input> = {}): Input {
  return {
    name: role,
    role,
    type,
    shape,
    tokenAxis: undefined,
    extents: {},
    along: undefined,
    keeps: undefined,
    how: '',
    guessed: false,
    ...more,
  };
}

const { int64, int32, float, float16, bool } = DataType;
const ids = input('token-ids', int64, ['batch', 'tokens'], { tokenAxis: 1 });

/** What one input gets beside four token ids. */
function fed(other: Input) {
  const value = makeFeeds([ids, other], new Map(), [7, 8, 9, 10]).values.get(other.name);
  return value && { type: value.type, dims: value.dims, numbers: numbers(value) };
}

describe('makeFeeds', () => {
  it.each([
    [input('position-ids', int64, ['b', 's']), [1, 4], [0, 1, 2, 3]],
    [input('position-ids', int64, [3, 'b', 's']), [3, 1, 4], [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]],
    [input('cache-position', int64, ['s']), [4], [0, 1, 2, 3]],
    [input('attention-mask', int32, ['b', 's + p']), [1, 4], [1, 1, 1, 1]],
    [input('attention-mask', bool, ['b', 's']), [1, 4], [1, 1, 1, 1]],
    [input('attention-mask', float16, ['b', 's']), [1, 4], [0x3c00, 0x3c00, 0x3c00, 0x3c00]],
    [input('attention-mask', bool, ['b', 's'], { keeps: 0 }), [1, 4], [0, 0, 0, 0]],
    [input('token-type-ids', int64, ['b', 's']), [1, 4], [0, 0, 0, 0]],
    [input('coordinates', int64, ['b', 's', 2], { tokenAxis: 1 }), [1, 4, 2], [0, 0, 0, 0, 0, 0, 0, 0]],
    [input('lengths', int64, ['b']), [1], [4]],
    [input('position-ids', int64, ['s', 'b'], { tokenAxis: 0 }), [4, 1], [0, 1, 2, 3]],
    [input('past', float, ['b', 2, 'p', 16], { tokenAxis: 2 }), [1, 2, 0, 16], []],
    [input('past', float, ['b', 2, 'p', 'd'], { tokenAxis: 2, extents: { 3: 16 } }), [1, 2, 0, 16], []],
    [input('past', float, [2, 'b', 4, 'p', 3], { tokenAxis: 3 }), [2, 1, 4, 0, 3], []],
    [input('last-key-index', int32, ['b']), [1], [3]],
    [input('total-length', int32, []), [], [4]],
    [input('past-length', int64, [1]), [1], [0]],
    [input('flag', bool, [1]), [1], [0]],
    [input('state', float, ['b', 2, 3], { extents: { 0: 1 } }), [1, 2, 3], [0, 0, 0, 0, 0, 0]],
  ])('feeds %o', (other, dims, expected) => {
    expect(fed(other)).toEqual({ type: other.type, dims, numbers: expected });
  });

  it('does not run without the cache what is given for a run with it', () => {
    const how = 'a switch, taken as false: the branch without a cache';
    const branch = input('unused', bool, [1], { name: 'use_cache_branch', how });
    const run = (on: number) => makeFeeds([ids, branch], new Map([[branch.name, filled(bool, [1], () => on)]]), [7, 8]);
    expect(run(0).values.has(branch.name)).toBe(false);
    expect(() => run(1)).toThrow(/"use_cache_branch" was given as true, and is a switch, taken as false/);
  });

  it('counts what a cache that cannot be empty holds', () => {
    const past = input('past', float, ['b', 1, 'p', 1], { tokenAxis: 2, extents: { 2: 5 } });
    const mask = input('attention-mask', int64, ['b', 's + p'], { tokenAxis: 1 });
    const { values } = makeFeeds([ids, past, mask], new Map(), [1, 2]);
    expect(values.get('past')?.dims).toEqual([1, 1, 5, 1]);
    expect(values.get('attention-mask')?.dims).toEqual([1, 7]);
  });

  it('takes what is given, in any width of integer', () => {
    const mask = input('attention-mask', int64, ['b', 's']);
    const given = new Map([
      ['token-ids', filled(int32, [1, 3], (i) => i + 4)],
      ['attention-mask', filled(bool, [1, 3], (i) => (i === 0 ? 0 : 1))],
    ]);
    const feeds = makeFeeds([ids, mask], given);
    expect(feeds.ids).toEqual([4, 5, 6]);
    expect(feeds.values.get('token-ids')?.data).toEqual(BigInt64Array.of(4n, 5n, 6n));
    expect(feeds.values.get('attention-mask')?.data).toEqual(BigInt64Array.of(0n, 1n, 1n));
  });

  it('pads to the one length a file takes', () => {
    const fixed = { ...ids, shape: [1, 6] };
    const feeds = makeFeeds([fixed, input('attention-mask', int64, [1, 6])], new Map(), [5, 6]);
    expect(feeds.length).toBe(6);
    expect(feeds.values.get('token-ids')?.data).toEqual(BigInt64Array.of(5n, 6n, 0n, 0n, 0n, 0n));
    expect(fixedLength([fixed])).toBe(6);
    expect(fixedLength([ids])).toBeUndefined();
    expect(() => makeFeeds([fixed], new Map(), [1, 2, 3, 4, 5, 6, 7])).toThrow(
      expect.objectContaining({ code: 'too-long', limit: { tokens: 7, context: 6 } }),
    );
  });

  it.each<[0 | 1, number[]]>([
    [1, [1, 1, 0, 0]],
    [0, [0, 0, 1, 1]],
  ])('masks what pads to the one length, by what a mask keeps: %i', (keeps, expected) => {
    const [fixed, mask] = [{ ...ids, shape: [1, 4] }, input('attention-mask', int64, [1, 4], { keeps })];
    const lengths = input('lengths', int64, [1]);
    const { values } = makeFeeds([fixed, mask, lengths], new Map(), [5, 6]);
    expect(values.get('attention-mask')).toMatchObject({ data: BigInt64Array.from(expected, BigInt) });
    expect(values.get('lengths')?.data).toEqual(BigInt64Array.of(2n));
  });

  it('says what pads to the one length, and that it is a choice where nothing masks it', () => {
    const fixed = { ...ids, shape: [1, 6], how: 'token ids' };
    const fed = (tokens: number, ...others: Input[]) => fedInputs([fixed, ...others], new Map(), undefined, tokens);
    expect(fed(6)[0]).toMatchObject({ how: 'token ids', guessed: false });
    expect(fed(2)[0]).toMatchObject({ how: expect.stringMatching(/4 × 0 .* no input masks/), guessed: true });
    const mask = input('attention-mask', int64, [1, 6], { how: 'ones' });
    expect(fed(2, mask)).toMatchObject([
      { how: expect.stringMatching(/4 × 0 .* masked$/), guessed: false },
      { how: expect.stringMatching(/the 4 places of padding are masked/), guessed: false },
    ]);
    // An encoder's mask hides nothing of a decoder's tokens.
    expect(fed(2, { ...mask, along: 'encoder ids' })[0]).toMatchObject({ guessed: true });
  });

  it('gives every example of a fixed batch the same, and says which axis counts tokens', () => {
    const feeds = makeFeeds([{ ...ids, shape: [2, 'tokens'] }], new Map(), [7, 8, 9]);
    expect(feeds.values.get('token-ids')).toMatchObject({
      dims: [2, 3],
      data: BigInt64Array.of(7n, 8n, 9n, 7n, 8n, 9n),
    });
    expect(feeds.axis).toBe(1);
    const first = makeFeeds([{ ...ids, shape: ['tokens', 'batch'], tokenAxis: 0 }], new Map(), [7, 8]);
    expect(first.values.get('token-ids')).toMatchObject({ dims: [2, 1], data: BigInt64Array.of(7n, 8n) });
    expect(first.axis).toBeUndefined();
  });

  it('makes an open axis as long as another of that name which was given', () => {
    const states = input('features', float, ['b', 'source', 3]);
    const mask = input('attention-mask', int64, ['b', 'source'], { tokenAxis: 1 });
    const given = new Map([['features', filled(float, [1, 5, 3], () => 0)]]);
    expect(makeFeeds([ids, states, mask], given, [7, 8]).values.get('attention-mask')?.dims).toEqual([1, 5]);
  });

  it('records how each input was fed', () => {
    const boxes = input('coordinates', int64, ['b', 's', 4], { how: 'zeros', guessed: true });
    const inputs = [ids, boxes];
    expect(fedInputs(inputs, new Map())[1]).toEqual({
      name: 'coordinates',
      role: 'coordinates',
      how: 'zeros',
      guessed: true,
    });
    const given = new Map([['coordinates', filled(int64, [1, 1, 4], () => 0)]]);
    expect(fedInputs(inputs, given)[1]).toMatchObject({ how: 'as it was given', guessed: false });
    const fed = { how: 'made from the picture', guessed: true };
    expect(fedInputs(inputs, given, fed)[1]).toMatchObject(fed);
  });

  it.each([
    [
      'what only the user can know',
      [ids, input('features', float, ['n', 12])],
      [],
      /"features" \(float32 \[n, 12\]\) has to be given/,
    ],
    ['what is not recognised', [ids, input('unknown', float, undefined)], [], /"unknown" \(float32\) has to be given/],
    ['a choice', [ids, input('choice', int64, [], { how: 'one of 5' })], [], /"choice" \(int64 \[\]\) .*: one of 5\./],
    [
      'a mask over pairs',
      [ids, input('pair-mask', float, ['b', 1, 's', 's'], { how: 'pairs' })],
      [],
      /given .*: pairs/,
    ],
    [
      'another rank',
      [input('features', float, [1, 3])],
      [['features', filled(float, [3], () => 0)]],
      /must be float32 \[1, 3\], but float32 \[3\]/,
    ],
    [
      'another extent',
      [input('features', float, ['n', 3])],
      [['features', filled(float, [1, 4], () => 0)]],
      /but float32 \[1, 4\]/,
    ],
    ['another type', [input('features', float, ['n', 3])], [['features', filled(int64, [1, 3], () => 0)]], /but int64/],
  ] as const)('refuses %s', (_, inputs, given, message) => {
    const run = () => makeFeeds(inputs, new Map(given), inputs[0] === ids ? [1] : undefined);
    expect(run).toThrow(expect.objectContaining({ code: 'input', message: expect.stringMatching(message) }));
  });

  it('refuses token ids where the model takes none', () => {
    expect(() => makeFeeds([input('features', float, ['n', 3])], new Map(), [1])).toThrow(/takes no token ids/);
  });
});
