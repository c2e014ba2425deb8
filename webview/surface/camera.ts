/**
 * From a field to the screen and back, by a parallel projection: equal lengths stay equal wherever they are, so that
 * heights can be read off an axis. Pure.
 *
 * Space: x along columns, y along rows, z up; the field's floor is a rectangle around the origin. Screen: CSS pixels
 * from the top left. Depth grows away from the eye.
 */
import type { FieldCell, HeightField } from './field.js';

/** Half the floor's sides, and the height of the highest cell. */
export const box = { x: 1.2, y: 0.62, z: 0.66 } as const;

export interface Camera {
  /** Degrees that the floor is turned by, and that the eye stands above it: 0 from the side, 90 from above. */
  readonly azimuth: number;
  readonly elevation: number;
  /** 1: everything is in sight. */
  readonly zoom: number;
  /** CSS pixels that the picture is shifted by. */
  readonly shift: { readonly x: number; readonly y: number };
}

/** The first row, where sinks are, stands in front. */
export const startCamera: Camera = { azimuth: -32, elevation: 32, zoom: 1, shift: { x: 0, y: 0 } };

export interface StageSize {
  readonly width: number;
  readonly height: number;
}

export interface Point3 {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

export interface Projected {
  readonly x: number;
  readonly y: number;
  readonly depth: number;
}

/** Room for ticks and labels, in CSS pixels. */
const margin = { x: 56, y: 34 };
const radians = Math.PI / 180;
const floorRadius = Math.hypot(box.x, box.y);

/** Turns by at most so much; the eye never goes below the floor. */
export function turned(camera: Camera, azimuth: number, elevation: number): Camera {
  return {
    ...camera,
    azimuth: ((((camera.azimuth + azimuth + 180) % 360) + 360) % 360) - 180,
    elevation: Math.min(90, Math.max(5, camera.elevation + elevation)),
  };
}

/** Zooms around a point of the screen, which stays where it is. */
export function zoomed(camera: Camera, stage: StageSize, factor: number, around = middleOf(stage)): Camera {
  const zoom = Math.min(32, Math.max(1, camera.zoom * factor));
  if (zoom === 1) return { ...camera, zoom, shift: { x: 0, y: 0 } };
  const middle = middleOf(stage);
  const by = zoom / camera.zoom;
  const kept = (at: number, centre: number, shift: number) => at - centre - (at - centre - shift) * by;
  return {
    ...camera,
    zoom,
    shift: { x: kept(around.x, middle.x, camera.shift.x), y: kept(around.y, middle.y, camera.shift.y) },
  };
}

const middleOf = ({ width, height }: StageSize) => ({ x: width / 2, y: height / 2 });

/** What a camera makes of a stage: the turn as sines and cosines, and pixels for each unit of space. */
export interface Projection {
  readonly stage: StageSize;
  readonly camera: Camera;
  readonly turn: { readonly sin: number; readonly cos: number };
  readonly tilt: { readonly sin: number; readonly cos: number };
  readonly scale: number;
}

export function projectionOf(camera: Camera, stage: StageSize): Projection {
  const at = (degrees: number) => ({ sin: Math.sin(degrees * radians), cos: Math.cos(degrees * radians) });
  const tilt = at(camera.elevation);
  const wide = Math.max(40, stage.width - 2 * margin.x) / (2 * floorRadius);
  const tall = Math.max(40, stage.height - 2 * margin.y) / (2 * floorRadius * tilt.sin + box.z * tilt.cos);
  return { stage, camera, turn: at(camera.azimuth), tilt, scale: camera.zoom * Math.min(wide, tall) };
}

export function project({ stage, camera, turn, tilt, scale }: Projection, { x, y, z }: Point3): Projected {
  const across = x * turn.cos - y * turn.sin;
  const away = x * turn.sin + y * turn.cos;
  const up = away * tilt.sin + (z - box.z / 2) * tilt.cos;
  return {
    x: stage.width / 2 + camera.shift.x + scale * across,
    y: stage.height / 2 + camera.shift.y - scale * up,
    depth: away * tilt.cos - (z - box.z / 2) * tilt.sin,
  };
}

/** The same as a matrix for clip space, column by column. */
export function clipMatrix(view: Projection): Float32Array {
  const { stage } = view;
  const clip = (point: Point3) => {
    const { x, y, depth } = project(view, point);
    return [(2 * x) / stage.width - 1, 1 - (2 * y) / stage.height, depth / 4] as const;
  };
  const origin = clip({ x: 0, y: 0, z: 0 });
  const axes = [clip({ x: 1, y: 0, z: 0 }), clip({ x: 0, y: 1, z: 0 }), clip({ x: 0, y: 0, z: 1 })];
  const columns = axes.map((axis) => [axis[0] - origin[0], axis[1] - origin[1], axis[2] - origin[2], 0]);
  return Float32Array.from([...columns.flat(), ...origin, 1]);
}

/** The middle of a cell, at its height. */
export function peakOf(field: HeightField, { row, column }: FieldCell): Point3 {
  const height = field.heights[row * field.columns + column] ?? 0;
  return {
    ...floorOf(field, row + 0.5, column + 0.5),
    z: box.z * Math.min(1, Number.isFinite(height) ? height / field.top : 0),
  };
}

/** A point of the floor, in cells from the first corner. */
export function floorOf({ rows, columns }: Pick<HeightField, 'rows' | 'columns'>, row: number, column: number): Point3 {
  return { x: box.x * ((2 * column) / columns - 1), y: box.y * ((2 * row) / rows - 1), z: 0 };
}

/** Pixels around a peak within which that peak is meant. */
const reach = 10;
const steps = 3000;

/** The cell that is seen at a point of the screen: a peak that is near, else the first that the line of sight meets. */
export function cellUnder(field: HeightField, view: Projection, x: number, y: number): FieldCell | undefined {
  const near = field.peaks
    .map((peak) => ({ peak, at: project(view, peakOf(field, peak)) }))
    .map(({ peak, at }) => ({ peak, away: Math.hypot(at.x - x, at.y - y) }))
    .filter(({ away }) => away <= reach)
    .sort((a, b) => a.away - b.away)[0];
  if (near) return { row: near.peak.row, column: near.peak.column };
  const { stage, camera, turn, tilt, scale } = view;
  const across = (x - stage.width / 2 - camera.shift.x) / scale;
  const up = (stage.height / 2 + camera.shift.y - y) / scale + (box.z / 2) * tilt.cos;
  // Along the line of sight from where it comes under the highest cell to where it meets the floor.
  const from = (up - box.z * tilt.cos) / tilt.sin;
  const to = up / tilt.sin;
  for (let step = 0; step <= steps; step++) {
    const share = step / steps;
    const away = from + (to - from) * share;
    const column = Math.floor((((across * turn.cos + away * turn.sin) / box.x + 1) / 2) * field.columns);
    const row = Math.floor((((away * turn.cos - across * turn.sin) / box.y + 1) / 2) * field.rows);
    if (row < 0 || column < 0 || row >= field.rows || column >= field.columns) continue;
    const height = field.heights[row * field.columns + column] ?? 0;
    if (step === steps || height / field.top >= 1 - share) return { row, column };
  }
  return undefined;
}
