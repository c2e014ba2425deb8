/** The surface of a field, without a page: what is seen where, and what is under a point. */
import { describe, expect, it } from 'vitest';
import { exactWeight } from '../../../webview/numbers.js';
import {
  box,
  cellUnder,
  clipMatrix,
  peakOf,
  project,
  projectionOf,
  startCamera,
  turned,
  zoomed,
} from '../../../webview/surface/camera.js';
import { type HeightField, heightTicks, indexTicks } from '../../../webview/surface/field.js';

const stage = { width: 800, height: 400 };
const cameras = [
  startCamera,
  turned(startCamera, 90, -20),
  turned(startCamera, 170, 100),
  zoomed(turned(startCamera, -140, 10), stage, 3, { x: 500, y: 150 }),
];

/** 30 × 50 cells, flat but for the given spikes. */
function fieldOf(spikes: readonly (readonly [row: number, column: number, height: number])[]): HeightField {
  const heights = new Float32Array(30 * 50);
  for (const [row, column, height] of spikes) heights[row * 50 + column] = height;
  const axis = { name: '', extent: 1, label: String };
  return {
    rows: 30,
    columns: 50,
    pool: { rows: 1, columns: 1 },
    heights,
    shades: heights,
    top: 100,
    peaks: [],
    rowAxis: axis,
    columnAxis: axis,
    heightAxis: { name: '', format: String },
  };
}

describe('a surface', () => {
  const field = fieldOf([
    [0, 0, 100],
    [29, 49, 60],
    [12, 31, 80],
  ]);

  it.each(cameras)('has a cell under the point where its top is seen, camera %#', (camera) => {
    const view = projectionOf(camera, stage);
    for (const [row, column] of [
      [0, 0],
      [29, 49],
      [12, 31],
      [20, 5],
    ] as const) {
      const top = project(view, peakOf(field, { row, column }));
      // A hair below: the top itself is a point.
      expect(cellUnder(field, view, top.x, top.y + 0.3)).toEqual({ row, column });
    }
  });

  it('hides what is behind a spike, and has nothing beside its floor', () => {
    const wall = fieldOf(Array.from({ length: 50 }, (_, column) => [10, column, 100] as const));
    const view = projectionOf({ ...startCamera, azimuth: 0, elevation: 20 }, stage);
    const behind = project(view, peakOf(wall, { row: 13, column: 25 }));
    expect(cellUnder(wall, view, behind.x, behind.y)).toEqual({ row: 10, column: 25 });
    expect(cellUnder(wall, view, 2, 2)).toBeUndefined();
  });

  it('means a peak by the points around it', () => {
    const view = projectionOf(startCamera, stage);
    const peaked = { ...field, peaks: [{ row: 12, column: 31, text: undefined }] };
    const top = project(view, peakOf(field, { row: 12, column: 31 }));
    expect(cellUnder(peaked, view, top.x + 7, top.y - 6)).toEqual({ row: 12, column: 31 });
    expect(cellUnder(field, view, top.x + 7, top.y - 6)).not.toEqual({ row: 12, column: 31 });
  });

  it.each(cameras)('is drawn by the matrix where it is projected to, camera %#', (camera) => {
    const view = projectionOf(camera, stage);
    const matrix = clipMatrix(view);
    const point = { x: 0.3, y: -0.5, z: 0.4 };
    const [x = 0, y = 0, depth = 0, w = 0] = [0, 1, 2, 3].map((row) =>
      [point.x, point.y, point.z, 1].reduce((sum, one, column) => sum + one * (matrix[4 * column + row] ?? 0), 0),
    );
    const seen = project(view, point);
    expect(w).toBe(1);
    expect(((x + 1) * stage.width) / 2).toBeCloseTo(seen.x, 2);
    expect(((1 - y) * stage.height) / 2).toBeCloseTo(seen.y, 2);
    expect(Math.abs(depth)).toBeLessThan(1);
  });

  it('is wholly in sight whatever way it is turned', () => {
    for (let azimuth = -180; azimuth < 180; azimuth += 15) {
      for (const elevation of [5, 30, 60, 90]) {
        const view = projectionOf({ ...startCamera, azimuth, elevation }, stage);
        for (const x of [-box.x, box.x]) {
          for (const y of [-box.y, box.y]) {
            for (const z of [0, box.z]) {
              const seen = project(view, { x, y, z });
              expect(seen.x >= 0 && seen.x <= stage.width && seen.y >= 0 && seen.y <= stage.height).toBe(true);
            }
          }
        }
      }
    }
  });

  it('is zoomed around a point, which stays, and never seen from below', () => {
    const around = { x: 420, y: 210 };
    const near = zoomed(zoomed(startCamera, stage, 2), stage, 2, around);
    const [before, after] = [projectionOf(zoomed(startCamera, stage, 2), stage), projectionOf(near, stage)];
    const cell = cellUnder(field, before, around.x, around.y);
    expect(cell).toBeDefined();
    expect(cellUnder(field, after, around.x, around.y)).toEqual(cell);
    expect(zoomed(near, stage, 1e-9)).toEqual(startCamera);
    expect(turned(startCamera, 0, -500).elevation).toBeGreaterThan(0);
  });
});

it('has ticks in round steps, as many as there is room for', () => {
  expect(heightTicks(2084)).toEqual([0, 500, 1000, 1500, 2000]);
  expect(heightTicks(0.7)).toHaveLength(4);
  expect(indexTicks(51, 300, 40)).toEqual([0, 10, 20, 30, 40, 50]);
  expect(indexTicks(1, 300, 40)).toEqual([0]);
  expect(indexTicks(4096, 500, 36)).toEqual([0, 400, 800, 1200, 1600, 2000, 2400, 2800, 3200, 3600, 4000]);
});

it('tells a weight in three digits, however small it is', () => {
  expect([0.74321, 0.0021712, 0, 3.14e-9, Number.NaN].map(exactWeight)).toEqual([
    '0.743',
    '0.00217',
    '0',
    '3.14e−9',
    '–',
  ]);
});
