import { describe, expect, it } from 'vitest';
import { csvOf, formatCell } from '../../../src/analysis/presentation.js';
import { type BlockFacts, blocksTable } from '../../../src/experiments/shared/blocks.js';
import { dataOf } from '../../../webview/tabled.js';
import { at } from '../../support/lists.js';

const entry = {
  token: 0,
  kind: 'massive',
  layer: 2,
  value: 2084,
  ratio: 2298,
  last: 2,
  softOnset: 2,
  softLast: 2,
} as const;
const facts: BlockFacts = {
  layers: 2,
  kld: 0.4,
  sqnr: [
    { cumulative: Number.POSITIVE_INFINITY, local: Number.POSITIVE_INFINITY },
    { cumulative: 20, local: 40 },
    { cumulative: 10, local: Number.NaN },
  ],
  swap: [
    { alone: 0, restored: 0.4 },
    { alone: 0.1, restored: 0.3 },
    { alone: 0.2, restored: 0.1 },
    { alone: 0.01, restored: 0.5 },
  ],
  products: [
    { block: 2, part: 'mlp_out', node: '/down', restored: 0.1 },
    { block: 2, part: 'attn_in', node: '/q', restored: 0.44 },
    { block: 3, part: 'head', node: '', restored: 0.3 },
  ],
  massive: {
    reference: [{ ...entry, dim: 239, onset: 2, values: [undefined, undefined, 2084] }],
    model: [{ ...entry, dim: 239, onset: 2, values: [undefined, undefined, 2088] }],
  },
};
const table = blocksTable(facts);
const column = (name: string) => table.columns.findIndex((one) => one.name.startsWith(name));
const cell = (row: number, name: string) => at(at(table.rows, row), column(name));
/** How long the bar of a cell is, of all its room. */
function bar(row: number, name: string): number | undefined {
  const drawn = dataOf(table).drawn?.(row)[column(name)];
  return drawn && 'bar' in drawn ? drawn.bar : undefined;
}

describe('the table of blocks', () => {
  it('has a row for each part, which leads to the layer that it leaves', () => {
    expect(table.rows.map(([name]) => name)).toEqual(['embedding', 'block 1', 'block 2', 'head']);
    expect(table.layers).toEqual([0, 1, 2, 2]);
    expect(dataOf(table, { layer: 1 })).toMatchObject({ selectable: true, selected: 1 });
    expect(dataOf(table, { layer: 7 }).selected).toBeUndefined();
  });

  it('draws the longer bars where more is lost', () => {
    // From 40 dB, the best there is, to 0; from all of the KLD to what is left.
    expect([1, 2].map((row) => bar(row, 'SQNR'))).toEqual([0.5, 0.75]);
    expect([1, 2].map((row) => bar(row, 'KLD alone'))).toEqual([0.25, 0.5]);
    expect([0, 1, 2, 3].map((row) => bar(row, 'restored'))).toEqual(
      [0, 0.25, 0.75, 0].map((one) => expect.closeTo(one, 12)),
    );
  });

  it('says what has no number, and draws nothing there', () => {
    expect([cell(0, 'local'), cell(2, 'local'), cell(3, 'local')]).toEqual(['same', 'no numbers', null]);
    expect(bar(0, 'local')).toBeUndefined();
  });

  it('has the products of a block as a strip, in the order in which they are computed, and in words', () => {
    const gain = cell(2, 'gain');
    expect(gain).toEqual([
      { name: 'attn_in /q', value: expect.closeTo(-0.1, 12) },
      { name: 'mlp_out /down', value: 0.75 },
    ]);
    const drawn = dataOf(table).drawn?.(2)[column('gain')];
    expect(drawn).toEqual({
      shades: [
        { place: 0, text: 'attn_in /q −10.0 %' },
        { place: 1, text: 'mlp_out /down 75.0 %' },
      ],
    });
    expect(formatCell(gain, 'share')).toBe('attn_in /q −10.0 %, mlp_out /down 75.0 %');
    expect(formatCell(cell(1, 'gain'), 'share')).toBe('');
    expect(csvOf(table).split('\r\n')[3]).toContain('"attn_in /q -0.0999');
  });

  it('names what begins to stand out in a block, before and after', () => {
    expect(table.rows.map((row) => at(row, column('what')))).toEqual([
      '',
      '',
      'massive: token 0, dim 239, +2,084 → +2,088',
      '',
    ]);
  });

  it('leaves out what was not measured', () => {
    const { layers, kld, sqnr, swap } = facts;
    const names = blocksTable({ layers, kld, sqnr, swap: swap.map(({ restored }) => ({ restored })) }).columns.map(
      ({ name }) => name,
    );
    expect(names).toEqual(['part', 'SQNR, cumulative (dB)', 'local (dB)', 'restored (nats)']);
  });

  it('has all its rows while the first blocks are compared', () => {
    const { rows } = blocksTable({ layers: 2, kld: Number.NaN, sqnr: facts.sqnr.slice(0, 2), swap: [] });
    expect(rows).toEqual([
      ['embedding', 'same', 'same', null],
      ['block 1', 20, 40, null],
      ['block 2', null, null, null],
      ['head', null, null, null],
    ]);
  });
});
