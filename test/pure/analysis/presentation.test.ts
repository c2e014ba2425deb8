import { describe, expect, it } from 'vitest';
import { csvOf, formatCell, formatTick, type HeatmapPart, tableOf } from '../../../src/analysis/presentation.js';

const heatmap: HeatmapPart = {
  kind: 'heatmap',
  heading: 'Sinks',
  rows: { name: 'layer', labels: ['1', '2'] },
  columns: { name: 'head', labels: ['a', 'b'] },
  value: { name: 'share', format: 'share' },
  scale: 'linear',
  values: [0.5, null, 0.25, 1],
};

describe('every part is a table', () => {
  it('a heatmap with a row for each of its rows', () => {
    const { columns, rows } = tableOf(heatmap);
    expect(columns.map(({ name }) => name)).toEqual(['layer \\ head', 'a', 'b']);
    expect(rows).toEqual([
      ['1', 0.5, null],
      ['2', 0.25, 1],
    ]);
  });

  it('a heatmap of words with the words', () => {
    expect(tableOf({ ...heatmap, texts: ['the', 'of', 'a', 'and'] }).rows).toEqual([
      ['1', 'the', 'of'],
      ['2', 'a', 'and'],
    ]);
  });

  it('bars with their intervals where there are any', () => {
    const bars = [
      { name: 'as is', value: 8, interval: [7, 9] as const },
      { name: 'zero', value: 16 },
    ];
    const part = { kind: 'bars', heading: '', value: { name: 'perplexity' }, log: true, bars } as const;
    expect(tableOf(part).rows).toEqual([
      ['as is', 8, 7, 9],
      ['zero', 16, null, null],
    ]);
    expect(tableOf({ ...part, bars: [{ name: 'zero', value: 16 }] }).rows).toEqual([['zero', 16]]);
  });

  it('lines with a row for each x', () => {
    const table = tableOf({
      kind: 'lines',
      heading: '',
      x: { name: 'layer', values: [0, 1] },
      y: { name: '|h|', log: true },
      lines: [
        { name: 'llama', values: [1, 2] },
        { name: 'gpt2', values: [3] },
      ],
    });
    expect(table.columns.map(({ name }) => name)).toEqual(['layer', 'llama', 'gpt2']);
    expect(table.rows).toEqual([
      [0, 1, 3],
      [1, 2, null],
    ]);
  });

  it('lines with their intervals behind each that has some', () => {
    const table = tableOf({
      kind: 'lines',
      heading: '',
      x: { name: 'windows', values: [1, 2] },
      y: { name: 'perplexity', format: 'fixed', log: false },
      lines: [
        { name: 'plain', values: [30, 31], interval: { from: [null, 28], to: [null, 34] } },
        { name: 'patched', values: [40, 41] },
      ],
    });
    expect(table.columns).toEqual([
      { name: 'windows', format: 'plain' },
      ...['plain', '95 % from', 'to', 'patched'].map((name) => ({ name, format: 'fixed' })),
    ]);
    expect(table.rows).toEqual([
      [1, 30, null, null, 40],
      [2, 31, 28, 34, 41],
    ]);
  });
});

it('writes comma-separated values as RFC 4180 has them', () => {
  const columns = [{ name: 'token' }, { name: 'share, all', format: 'share' as const }];
  const rows = [
    ['a "quoted", text', 0.125],
    ['two\nlines', null],
  ];
  expect(csvOf({ columns, rows })).toBe('token,"share, all"\r\n"a ""quoted"", text",0.125\r\ntwo\\u{a}lines,\r\n');
});

it.each([
  [2084.3, 'value', '+2,084'],
  [-0.0475, 'share', '−4.75 %'],
  [3e-9, 'share', '< 0.001 %'],
  [0.1, 'share', '10.0 %'],
  [1, 'share', '100 %'],
  [0, 'share', '0 %'],
  // A direction that is rounded away is none.
  [-0.004, 'signed', '0.00'],
  [0.004, 'signed', '0.00'],
  [-0.004, 'fixed', '0.00'],
  [0.284, 'signed', '+0.28'],
  [-0.284, 'signed', '−0.28'],
  [63.2289, 'fixed', '63.23'],
  [12345, 'plain', '12345'],
  [2.07, 'ratio', '2.07 ×'],
  [1, 'ratio', '1.00 ×'],
] as const)('shows %d as %s: %s', (value, format, text) => {
  expect(formatCell(value, format)).toBe(text);
});

it.each([
  [1, 'ratio', '1 ×'],
  [0.05, 'share', '5 %'],
  [20, 'number', '20'],
] as const)('calls a tick at %d, a %s, %s', (value, format, text) => {
  expect(formatTick(value, format)).toBe(text);
});
