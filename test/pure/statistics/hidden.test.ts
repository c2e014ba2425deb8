import { describe, expect, it } from 'vitest';
import { EditedHidden, hiddenStatistics } from '../../../src/statistics/hidden.js';
import { uniform } from '../../../src/statistics/random.js';
import { pairs } from '../../support/lists.js';
import { floats, ints, shape } from './goldens.js';

describe('hiddenStatistics equals PyTorch', () => {
  it.each(['even', 'odd', 'broken', 'small'])('on the %s case', async (name) => {
    const values = await floats(`${name}.values`);
    const [tokens = 0, dims = 0] = await shape(`${name}.values`);
    const statistics = hiddenStatistics(values, tokens, dims);

    expect(statistics.median).toBe((await floats(`${name}.median`))[0]);
    expect(statistics.top.map((entry) => entry.value)).toEqual([...(await floats(`${name}.top`))]);
    expect(statistics.top.map((entry) => entry.token * dims + entry.dim)).toEqual([
      ...(await ints(`${name}.top_index`)),
    ]);
    expect(statistics.tokenMax).toEqual(await floats(`${name}.token_max`));
    expect(statistics.tokenMaxDim).toEqual(await ints(`${name}.token_max_dim`));
    expect(statistics.dimMax).toEqual(await floats(`${name}.dim_max`));
    expect(statistics.nonFinite).toBe((await ints(`${name}.non_finite`))[0]);
    const norm = await floats(`${name}.token_norm`);
    for (const [actual, expected] of pairs(statistics.tokenNorm, norm))
      expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-6 * expected);
  });
});

describe('hiddenStatistics', () => {
  it('reads a view into a larger buffer', () => {
    const buffer = Float32Array.of(9, 9, 1, -3, 2, 4, 9);
    const statistics = hiddenStatistics(buffer.subarray(2, 6), 2, 2);
    expect(statistics.top[0]).toEqual({ value: 4, token: 1, dim: 1 });
    expect(statistics.median).toBe(2);
  });

  it('keeps the first of equal magnitudes', () => {
    const { top } = hiddenStatistics(new Float32Array(20).fill(-2), 2, 10);
    expect(top.map((entry) => entry.token * 10 + entry.dim)).toEqual([...Array(16).keys()]);
  });

  it('has no median and no top where nothing is finite', () => {
    const statistics = hiddenStatistics(Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY), 1, 2);
    expect(statistics.nonFinite).toBe(2);
    expect(statistics.top).toEqual([]);
    expect(statistics.median).toBeNaN();
    expect(statistics.tokenMax).toEqual(Float32Array.of(0));
  });

  it('refuses extents that do not fit', () => {
    expect(() => hiddenStatistics(new Float32Array(6), 2, 4)).toThrow(RangeError);
  });
});

describe('EditedHidden', () => {
  it('is what hiddenStatistics comes to in parts, four entries at a time', () => {
    const [tokens, dims] = [17, 8_191];
    const random = uniform(5);
    const values = Float32Array.from({ length: tokens * dims }, () => (random() - 0.5) * 2 ** (30 * random() - 20));
    values[3 * dims + 6] = Number.NaN;
    const edited = new EditedHidden(dims);
    edited.extend(values);
    expect(hiddenStatistics(values, tokens, dims)).toEqual(edited.statistics());
  });

  it.each([3, 11])('comes to what hiddenStatistics does, whatever was there before, of %d dims', (dims) => {
    const random = uniform(3);
    const special = [Number.NaN, Number.POSITIVE_INFINITY, 0, -2, 2, 700];
    const number = () => (random() < 0.2 ? (special[Math.floor(random() * special.length)] ?? 0) : random() - 0.5);
    const edited = new EditedHidden(dims);
    let rows: number[] = [];
    for (let edit = 0; edit < 100; edit++) {
      const kept = Math.floor((rows.length / dims) * (1 - random() ** 3));
      const added = Array.from({ length: dims * (1 + Math.floor(12 * random())) }, number);
      rows = [...rows.slice(0, kept * dims), ...added];
      edited.back(kept);
      edited.extend(Float32Array.from(added));
      expect(edited.states).toEqual(Float32Array.from(rows));
      expect(edited.statistics()).toEqual(hiddenStatistics(Float32Array.from(rows), rows.length / dims, dims));
    }
  });
});
