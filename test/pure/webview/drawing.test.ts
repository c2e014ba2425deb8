/** What the webview's pictures are made of, without a page: places, shades, and what is under a point. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HeatmapPart } from '../../../src/analysis/presentation.js';
import { type Cells, cellAt, pointOf, type Viewport } from '../../../webview/cells.js';
import { cellsOf, scaleOf } from '../../../webview/experiments/heatmap.js';
import { formatPercent, formatWeight } from '../../../webview/numbers.js';
import { patchAt, patchesOf } from '../../../webview/patches.js';
import { apart, linearScale, logScale, logTicks, spread } from '../../../webview/scale.js';

describe('a scale', () => {
  it('puts equal ratios at equal distances where it is logarithmic', () => {
    const scale = logScale(1, 10_000, String);
    expect([1, 10, 100, 10_000].map(scale.at)).toEqual([0, 0.25, 0.5, 1].map((place) => expect.closeTo(place, 12)));
    // Powers of ten that are not in the way of the ends.
    expect(scale.ticks).toEqual([1, 10, 100, 1000, 10_000]);
    expect(logScale(2, 3000, String).ticks).toEqual([2, 10, 100, 1000, 3000]);
  });

  it('has a place for the one value of a run in which all are the same', () => {
    expect(logScale(5, 5, String).at(5)).toBe(0);
  });

  it('has both ends written beneath it, and between them what runs into no other', () => {
    const label = (x: number) => ({ x, half: 12 });
    const written = apart([0, 20, 40, 50, 80, 100].map(label)).map(({ x }) => x);
    expect(written).toEqual([0, 40, 100]);
    expect(apart([label(0)])).toHaveLength(1);
  });

  it('is even where it is linear', () => {
    const scale = linearScale(-2, 2, String);
    expect([-2, 0, 1, 2].map(scale.at)).toEqual([0, 0.5, 0.75, 1]);
    expect(scale.ticks).toEqual([-2, 0, 2]);
  });
});

describe('ticks of a logarithmic axis', () => {
  it('are powers of ten over some decades, fewer of them over many', () => {
    expect(logTicks(0.04, 3000)).toEqual([0.1, 1, 10, 100, 1000]);
    expect(logTicks(1e-9, 1e9).map(Math.log10)).toEqual([-9, -6, -3, 0, 3, 6, 9].map((power) => expect.closeTo(power)));
  });

  it('have doubles and fives beside them where powers would be too few', () => {
    expect(logTicks(15, 600)).toEqual([20, 50, 100, 200, 500]);
    expect(logTicks(4, 60)).toEqual([5, 10, 20, 50]);
  });

  it('are as on an even axis within less than a decade', () => {
    expect(logTicks(27.2, 39.6)).toEqual([30, 35]);
    expect(logTicks(24, 160)).toEqual([50, 100, 150]);
    expect(logTicks(0.31, 0.34)).toEqual([0.31, 0.32, 0.33, 0.34].map((tick) => expect.closeTo(tick, 12)));
  });

  it('are the one value there is where all are the same', () => {
    expect(logTicks(7, 7)).toEqual([7]);
  });

  it('lie on the axis, ascend, and are neither none nor many, whatever the range', () => {
    const range = fc.tuple(
      fc.double({ min: -12, max: 12, noNaN: true }),
      fc.double({ min: 0.01, max: 18, noNaN: true }),
    );
    fc.assert(
      fc.property(range, ([start, decades]) => {
        const [low, high] = [10 ** start, 10 ** (start + decades)];
        const ticks = logTicks(low, high);
        expect(ticks.length).toBeGreaterThan(0);
        expect(ticks.length).toBeLessThan(12);
        ticks.forEach((tick, i) => {
          expect(tick).toBeGreaterThan(i === 0 ? low * (1 - 1e-6) : (ticks[i - 1] ?? 0));
          expect(tick).toBeLessThan(high * (1 + 1e-6));
        });
      }),
    );
  });
});

describe('labels beside the ends of lines', () => {
  it('stand where their lines end if there is room', () => {
    expect(spread([80, 20, 50], 12, 0, 100)).toEqual([80, 20, 50]);
  });

  it('give way to each other and to the edges, in the order of their lines', () => {
    expect(spread([50, 51, 20], 12, 0, 100)).toEqual([50, 62, 20]);
    expect(spread([99, 98, 97], 12, 0, 100)).toEqual([100, 88, 76]);
    expect(spread([-5, 3], 12, 0, 100)).toEqual([0, 12]);
  });

  it('are never one on another, nor beyond the edges where there is room for all', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -20, max: 220, noNaN: true }), { maxLength: 10 }), (wanted) => {
        const places = spread(wanted, 12, 0, 200);
        const order = wanted.map((_, i) => i).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0) || a - b);
        const sorted = order.map((i) => places[i] ?? Number.NaN);
        sorted.forEach((place, rank) => {
          expect(place).toBeGreaterThanOrEqual(rank === 0 ? 0 : (sorted[rank - 1] ?? 0) + 12 - 1e-9);
          expect(place).toBeLessThanOrEqual(200);
        });
      }),
    );
  });
});

describe('cells on a canvas', () => {
  const viewport: Viewport = {
    ...{
      width: 140,
      height: 70,
      gutter: 40,
      footer: 10,
      cellWidth: 20,
      cellHeight: 15,
      scrollLeft: 0,
      scrollTop: 0,
      ratio: 1,
    },
  };
  const cells: Cells = {
    rows: 4,
    columns: 5,
    shades: new Float32Array(20),
    ramp: 'magnitude',
    marks: [],
    rowLabel: String,
    columnLabel: undefined,
    text: undefined,
    describe: () => [],
  };

  it('are under the points where they are drawn, whatever is scrolled', () => {
    for (const scrolled of [viewport, { ...viewport, scrollLeft: 33, scrollTop: 17 }]) {
      for (let row = 2; row < 4; row++) {
        for (let column = 2; column < 5; column++) {
          const { x, y } = pointOf(scrolled, row, column);
          expect(cellAt(scrolled, cells, x, y)).toEqual({ row, column });
          expect(cellAt(scrolled, cells, x + 19.9, y + 14.9)).toEqual({ row, column });
        }
      }
    }
  });

  it('are not under labels, nor beyond the last of them', () => {
    expect(cellAt(viewport, cells, 39, 5)).toBeUndefined();
    // Names of columns stand over the fourth row.
    expect(cellAt({ ...viewport, height: 65 }, cells, 50, 56)).toBeUndefined();
    expect(cellAt(viewport, cells, 50, -1)).toBeUndefined();
    expect(cellAt(viewport, cells, 141, 5)).toBeUndefined();
  });
});

describe('patches of a picture', () => {
  const token = (text: string, x?: number) => ({
    ...{ id: 0, text, start: 0, end: 0, special: x === undefined },
    ...(x !== undefined && { region: { x, y: 10, width: 20, height: 30 } }),
  });
  const patches = patchesOf({
    type: 'tokens',
    tokens: [token('CLS'), token('patch 0,0', 5), token('patch 0,1', 25)],
    total: 3,
    window: { start: 0, end: 3 },
    source: 'image',
    tokenizer: false,
  });

  it('are the tokens that stand for a part of it', () => {
    expect(patches.map((patch) => patch.token)).toEqual([1, 2]);
    expect(patchesOf(undefined)).toEqual([]);
  });

  it('hold their left and upper edges, and not the others', () => {
    const tokenAt = (x: number, y: number) => patchAt(patches, x, y)?.token;
    expect([tokenAt(5, 10), tokenAt(24.9, 39.9), tokenAt(25, 10)]).toEqual([1, 1, 2]);
    expect([tokenAt(4.9, 10), tokenAt(45, 10), tokenAt(10, 40)]).toEqual([undefined, undefined, undefined]);
  });
});

describe('a heatmap of an experiment', () => {
  const part = (more: Partial<HeatmapPart>): HeatmapPart => ({
    kind: 'heatmap',
    heading: '',
    rows: { name: 'layer', labels: ['1', '2'] },
    columns: { name: 'head', labels: ['a', 'b'] },
    value: { name: 'α', format: 'number' },
    scale: 'linear',
    values: [0, 2, null, 4],
    ...more,
  });

  it('has its values on a scale that holds them all, and nothing where there is none', () => {
    const heatmap = part({});
    const { shades, describe } = cellsOf(heatmap, scaleOf(heatmap));
    expect([...shades]).toEqual([0, 0.5, Number.NaN, 1]);
    expect(describe(1, 1)).toEqual(['layer 2 · head b', 'α: 4']);
    expect(describe(1, 0)).toEqual(['layer 2 · head a', 'α: –']);
  });

  it('has zero in the middle where it tells what grew from what shrank', () => {
    expect(scaleOf(part({ scale: 'diverging', values: [-1, 3] }))).toMatchObject({ from: -3, to: 3 });
    expect(scaleOf(part({ scale: 'diverging', values: [0, 0] }))).toMatchObject({ from: -1, to: 1 });
  });

  it('shares the scale of its siblings where a range is given', () => {
    expect(scaleOf(part({ scale: 'log', range: [1, 1000] }))).toMatchObject({ from: 1, to: 1000 });
    // A logarithm has no place for zero.
    expect(scaleOf(part({ scale: 'log', values: [0, 2, 200] }))).toMatchObject({ from: 2, to: 200 });
  });
});

it('shows weights with two digits, probabilities in percent', () => {
  expect([0.744, 0, Number.NaN].map(formatWeight)).toEqual(['0.74', '0.00', '–']);
  expect([0.31, 0.0042, 0, 1e-5, 1].map(formatPercent)).toEqual(['31.0 %', '0.42 %', '0.00 %', '< 0.01 %', '100.0 %']);
});
