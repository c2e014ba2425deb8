import { describe, expect, it } from 'vitest';
import type { HeatmapPart, TablePart } from '../../../src/analysis/presentation.js';
import { partInWords } from '../../../src/cli/table.js';

const table: TablePart = {
  kind: 'table',
  heading: 'Rows',
  columns: [{ name: 'variant' }, { name: 'perplexity', format: 'fixed' }, { name: 'change', format: 'share' }],
  rows: [
    ['as is', 63.2, 0],
    ['zero everywhere', 120.97, null],
  ],
};

describe('a part in words', () => {
  it('has names to the left and numbers to the right', () => {
    expect(partInWords(table)).toEqual([
      '',
      'Rows',
      '  variant          perplexity  change',
      '  as is                 63.20     0 %',
      '  zero everywhere      120.97',
    ]);
  });

  it('is cut to whole columns, which its heading counts', () => {
    expect(partInWords(table, 30)).toEqual([
      '',
      'Rows (2 of 3 columns)',
      '  variant          perplexity',
      '  as is                 63.20',
      '  zero everywhere      120.97',
    ]);
    // Two are there however narrow it is.
    expect(partInWords(table, 5)).toEqual(partInWords(table, 30));
    expect(partInWords(table, 37)).toEqual(partInWords(table));
    expect(partInWords(table, 36)).toEqual(partInWords(table, 30));
  });

  it('has several numbers of one cell under each other', () => {
    const gains = [
      { name: 'attn_in', value: 0.5 },
      { name: 'mlp_out', value: null },
    ];
    const blocks: TablePart = {
      ...table,
      columns: [{ name: 'part' }, { name: 'gain', format: 'share' }, { name: 'nats' }],
      rows: [
        ['block 1', gains, 0.25],
        ['block 2', [], 0.5],
      ],
    };
    expect(partInWords(blocks)).toEqual([
      '',
      'Rows',
      '  part     gain            nats',
      '  block 1  attn_in 50.0 %  0.25',
      '           mlp_out',
      '  block 2                   0.5',
    ]);
  });

  it('is the table behind a picture', () => {
    const heatmap: HeatmapPart = {
      kind: 'heatmap',
      heading: 'Heads',
      rows: { name: 'layer', labels: ['1', '2'] },
      columns: { name: 'head', labels: ['0', '1'] },
      value: { name: 'share', format: 'share' },
      scale: 'linear',
      values: [0.5, null, 0.25, 1],
    };
    expect(partInWords(heatmap)).toEqual([
      '',
      'Heads',
      '  layer \\ head       0      1',
      '  1             50.0 %',
      '  2             25.0 %  100 %',
    ]);
  });

  it('is paragraphs where it is text, and nothing where it is empty', () => {
    expect(partInWords({ kind: 'text', heading: 'Why', paragraphs: ['One.', 'Two.'] }, 3)).toEqual([
      '',
      'Why',
      '  One.',
      '  Two.',
    ]);
    expect(partInWords({ ...table, rows: [] })).toEqual([]);
  });

  it('has any number of rows', () => {
    const rows = Array.from({ length: 400_000 }, (_, i) => ['as is', i, null]);
    const lines = partInWords({ ...table, rows });
    expect(lines).toHaveLength(400_003);
    expect(lines.at(-1)).toBe('  as is    399,999.00');
  });
});
