/** What a surface shows: heights over a grid of cells, and what its axes are called. Plain data, knowing no element. */
import { roundStep } from '../cells.js';

/** Magnitudes over rows × columns of cells, of which each stands for one entry or for the largest of several. */
export interface HeightField {
  /** Cells. */
  readonly rows: number;
  readonly columns: number;
  /** Entries of a cell along each axis. */
  readonly pool: { readonly rows: number; readonly columns: number };
  /** |h|, [rows, columns], row-major; not finite where there is nothing to draw. */
  readonly heights: Float32Array;
  /** Places on the ramp of magnitudes, 0 … 1, [rows, columns]. */
  readonly shades: Float32Array;
  /** The height at which the upright axis ends: that of the highest cell, at least a hair above 0. */
  readonly top: number;
  /** Cells that are pointed out, highest first. */
  readonly peaks: readonly Peak[];
  readonly rowAxis: FieldAxis;
  readonly columnAxis: FieldAxis;
  readonly heightAxis: { readonly name: string; format(value: number): string };
}

export interface Peak {
  readonly row: number;
  readonly column: number;
  /** Written above it; undefined: it is gone to by keys, and not named. */
  readonly text: string | undefined;
}

export interface FieldAxis {
  readonly name: string;
  /** Entries along it. */
  readonly extent: number;
  label(index: number): string;
}

export interface FieldCell {
  readonly row: number;
  readonly column: number;
}

/** Rows or columns, beginning with the first, of which labels of `room` pixels each find place on `length` pixels. */
export function indexTicks(extent: number, length: number, room: number): number[] {
  const step = roundStep((extent * room) / Math.max(1, length));
  return Array.from({ length: Math.ceil(extent / step) }, (_, tick) => tick * step);
}

/** Values from 0 to `top` in round steps, about four of them. */
export function heightTicks(top: number): number[] {
  const magnitude = 10 ** Math.floor(Math.log10(top / 4));
  const step = ([1, 2, 5, 10].find((factor) => factor * magnitude * 4.5 >= top) ?? 10) * magnitude;
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, tick) => tick * step);
}
