import { describe, expect, it } from 'vitest';
import { massiveActivations } from '../../../src/analysis/massive.js';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import { hidden, layers, run } from './example.js';

const found = (...states: Parameters<typeof run>[0]) => massiveActivations(run(states), defaultThresholds);

describe('massiveActivations', () => {
  it('names the massive entry first, with its peak, onset and last layer, and the large one after it', () => {
    expect(found(...layers)).toEqual([
      {
        token: 0,
        dim: 3,
        kind: 'massive',
        layer: 1,
        value: 2084.4,
        ratio: 2084.4,
        onset: 1,
        last: 2,
        softOnset: 0,
        softLast: 2,
        values: [-1.5, 2084.4, 2100],
      },
      {
        token: 0,
        dim: 1,
        kind: 'large',
        layer: 1,
        value: -309,
        ratio: 309,
        onset: 1,
        last: 2,
        softOnset: 1,
        softLast: 2,
        values: [undefined, -309, -310],
      },
    ]);
  });

  it('draws the lines where the definition does: above 100, at least 1,000 × and 100 × the median', () => {
    const kinds = found(hidden(0.1, [100.5, 0, 0], [100, 1, 0], [99, 2, 0], [-10, 3, 0], [9.99, 4, 0]));
    expect(kinds.map(({ token, kind }) => [token, kind])).toEqual([
      [0, 'massive'],
      [1, 'large'],
      [2, 'large'],
      [3, 'large'],
    ]);
    expect(found(hidden(0.2, [199, 0, 0]))[0]?.kind).toBe('large');
    expect(found(hidden(0.2, [-200, 0, 0]))[0]?.kind).toBe('massive');
  });

  it('follows the thresholds', () => {
    const loose = { ...defaultThresholds, absolute: 40, ratio: 40, soft: 10 };
    const kinds = massiveActivations(run(layers), loose).map(({ token, dim, kind }) => [token, dim, kind]);
    expect(kinds).toEqual([
      [0, 3, 'massive'],
      [0, 1, 'massive'],
      [5, 2, 'massive'],
    ]);
  });

  it('spans the layers between two that count, even where one between does not', () => {
    const [activation] = found(hidden(1, [1500, 0, 3]), hidden(10, [1500, 0, 3]), hidden(1, [1600, 0, 3]));
    expect(activation).toMatchObject({ onset: 0, last: 2, layer: 2, value: 1600 });
  });

  it('finds nothing large without a scale, and nothing at all where nothing is finite', () => {
    expect(found(hidden(0, [50, 0, 0]))).toEqual([]);
    expect(found(hidden(Number.NaN))).toEqual([]);
  });
});
