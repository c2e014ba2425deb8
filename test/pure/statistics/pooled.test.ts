import { describe, expect, it } from 'vitest';
import { pooled } from '../../../src/statistics/pooled.js';
import { floats, ints, shape } from './goldens.js';

/** By the most cells that are wanted: the entries of a cell follow from it. */
describe('max pooling equals NumPy', () => {
  it.each([
    ['cells', 'even', { rows: 10, columns: 15 }, { rows: 4, columns: 7 }],
    ['broken', 'broken', { rows: 12, columns: 14 }, { rows: 4, columns: 7 }],
    ['one', 'broken', { rows: 1, columns: 1 }, { rows: 37, columns: 96 }],
  ])('on the %s case', async (name, of, most, pool) => {
    const values = await floats(`${of}.values`);
    const [rows = 0, columns = 0] = await shape(`${of}.values`);
    const found = pooled(values, rows, columns, most);
    expect(found.pool).toEqual(pool);
    expect([found.rows, found.columns]).toEqual(await shape(`pooled.${name}.largest`));
    expect(found.values.map(Math.abs)).toEqual(await floats(`pooled.${name}.largest`));
    expect(found.places).toEqual(await ints(`pooled.${name}.places`));
    expect(found.values).toEqual(Float32Array.from(found.places, (place) => values[place] ?? 0));
  });
});

it('leaves a matrix that is small enough as it is', async () => {
  const values = await floats('even.values');
  const found = pooled(values, 37, 96, { rows: 37, columns: 500 });
  expect(found).toMatchObject({ rows: 37, columns: 96, pool: { rows: 1, columns: 1 }, values });
  expect(found.places).toEqual(Int32Array.from(values.keys()));
});

it('pools nothing where there is nothing', () => {
  expect(pooled(new Float32Array(), 0, 4, { rows: 2, columns: 2 })).toMatchObject({ rows: 0, columns: 2 });
});
