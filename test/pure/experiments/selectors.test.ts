import { describe, expect, it } from 'vitest';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import { parseChange } from '../../../src/cli/change.js';
import type { Change } from '../../../src/experiments/intervene/change.js';
import { resolve } from '../../../src/experiments/intervene/selectors.js';
import { at } from '../../support/lists.js';
import { hidden, layers, pattern, run } from '../analysis/example.js';

const zero = { to: 'zero' } as const;
const massive: Change = { point: 'resid_post', block: 'onset', tokens: 'massive', dims: 'massive', set: zero };
/** Token 4 draws both heads of the first block; the massive entry is at token 0, dim 3, from layer 1 on. */
const analysis = run(layers, [
  pattern([
    [0, 4, 0.9],
    [1, 4, 0.8],
  ]),
  pattern([]),
]);

const resolved = (change: Partial<Change>) => resolve({ ...massive, ...change }, analysis, defaultThresholds);

describe('a change in words', () => {
  it('means the massive entries where they begin', () => {
    expect(resolved({})).toEqual([{ point: 'resid_post', block: 1, tokens: [0], dims: [3], set: zero }]);
  });

  it('means each of them by itself, not every dim at every token', () => {
    const two = run([at(layers, 0), hidden(1, [2000, 0, 3], [-1500, 7, 1])]);
    expect(resolve(massive, two, defaultThresholds)).toEqual([
      { point: 'resid_post', block: 1, tokens: [0], dims: [3], set: zero },
      { point: 'resid_post', block: 1, tokens: [7], dims: [1], set: zero },
    ]);
  });

  it('means what is large where nothing is massive', () => {
    const soft = run([hidden(1, [2, 0, 0]), hidden(1, [200, 2, 1])]);
    expect(resolve(massive, soft, defaultThresholds)).toMatchObject([{ block: 1, tokens: [2], dims: [1] }]);
  });

  it('may be made at every block, at sinks, at the first token, at all', () => {
    expect(resolved({ block: 'every' }).map(({ block }) => block)).toEqual([1, 2]);
    expect(resolved({ tokens: 'sink' })).toMatchObject([{ tokens: [4], dims: [3] }]);
    expect(resolved({ tokens: 'first', dims: 'all' })).toMatchObject([{ tokens: [0], dims: 'all' }]);
    expect(resolved({ tokens: 'all', dims: [0, 2] })).toMatchObject([{ tokens: 'all', dims: [0, 2] }]);
  });

  it('is refused where it is about nothing', () => {
    const flat = run([hidden(1, [2, 0, 0]), hidden(1, [3, 0, 0])]);
    expect(() => resolve(massive, flat, defaultThresholds)).toThrow(/Nothing is massive in this run/);
    expect(() => resolve({ ...massive, tokens: 'sink', dims: 'all', block: 1 }, flat, defaultThresholds)).toThrow(
      /No token of this run is a sink/,
    );
    expect(() => resolved({ tokens: [12] })).toThrow(/no token 12: this run has tokens 0 to 11/);
    expect(() => resolved({ dims: [4] })).toThrow(/no dim 4: this run has dims 0 to 3/);
    expect(() => resolved({ block: 3 })).toThrow(/no resid_post of block 3: the model has blocks 1 to 2/);
    expect(() => resolved({ block: 0, point: 'attn_out' })).toThrow(/no attn_out of block 0/);
    expect(() => resolved({ point: 'mlp' })).toThrow(/dims of the residual stream/);
  });
});

describe('a change on the command line', () => {
  it('is read part by part, and has what is left out', () => {
    expect(parseChange('to=zero')).toEqual([massive]);
    const first = parseChange(' block=3  point=mlp tokens=0,12 dims=5 to=scale:-0.5 ');
    expect(first).toEqual([{ point: 'mlp', block: 3, tokens: [0, 12], dims: [5], set: { to: 'scale', by: -0.5 } }]);
    expect(parseChange('block=every tokens=sink to=noise:2 seed=7', first)).toEqual([
      ...first,
      { ...massive, block: 'every', tokens: 'sink', set: { to: 'noise', deviation: 2, seed: 7 } },
    ]);
  });

  it.each([
    ['to=value:1e39', /activations are float32, up to ±3\.4e38, and 1e\+39 is beyond that/],
    ['to=scale:-1e39', /-1e\+39 is beyond that/],
    ['to=noise:1e39', /1e\+39 is beyond that/],
    ['to=noise:-1', /deviation of noise is a number from 0 on, not -1/],
  ])('is refused where no activation can be so: %s', (text, sentence) => {
    expect(() => parseChange(text)).toThrow(sentence);
  });

  it.each([
    '',
    'to',
    'to=',
    'to=zero:1',
    'to=value',
    'to=value:x',
    'to=noise:-1',
    'block=-1 to=zero',
    'tokens=a to=zero',
    'point=head to=zero',
    'layer=1 to=zero',
    'to=zero=1',
  ])('is refused as "%s"', (text) => {
    expect(() => parseChange(text)).toThrow(/^It is block=/);
  });
});
