import { expect, it } from 'vitest';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import { middleLayers, secondarySinks } from '../../../src/experiments/generate/secondary.js';
import { cosinesWith } from '../../../src/statistics/likeness.js';
import { hidden } from '../analysis/example.js';

it('compares rows with a vector by their angle alone', () => {
  const rows = Float32Array.of(2, 4, 4, -1, -2, -2, 2, -2, 1, 0, 0, 0);
  expect([...cosinesWith(Float32Array.of(1, 2, 2), rows)]).toEqual([1, -1, 0, Number.NaN]);
  expect(cosinesWith(Float32Array.of(3, 4), Float32Array.of(4, 3))[0]).toBeCloseTo(24 / 25, 6);
});

it('names the tokens that are like the first one while that is massive, and no others', () => {
  const states = [1, 2000, 2000, 1].map((largest) => ({ ...hidden(1), tokenMax: Float32Array.of(largest, 1, 1) }));
  expect(middleLayers({ states }, defaultThresholds)).toEqual([1, 2]);
  const alike = [
    Float32Array.of(1, 0.95, 0.1),
    Float32Array.of(1, 0.5, 0.91),
    Float32Array.of(1, 0.89, 0.99),
    Float32Array.of(1, 0.95, 0.1),
  ];
  const written = [{ alike: Float32Array.of(0, 0.2, 0.92, 0) }, { alike: Float32Array.of(1, 0.9, Number.NaN, 1) }];
  expect(secondarySinks({ states, alike }, written, defaultThresholds)).toEqual([
    { token: 2, layers: [1, 2], cosine: expect.closeTo(0.99) },
    { token: 3, layers: [2], cosine: expect.closeTo(0.92) },
  ]);
  // Where the first token has nothing massive, there is nothing that a token could be secondary to.
  const plain = states.map((state) => ({ ...state, tokenMax: new Float32Array(3).fill(1) }));
  expect(secondarySinks({ states: plain, alike }, written, defaultThresholds)).toEqual([]);
});
