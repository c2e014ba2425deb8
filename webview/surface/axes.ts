/** What stands around a surface: walls and axes behind it, ticks, names of peaks and the selection before it. */
import { canvasFont, drawnLabel, fitting } from '../cells.js';
import type { Theme } from '../theme.js';
import { box, floorOf, type Point3, type Projection, peakOf, project } from './camera.js';
import { type FieldAxis, type FieldCell, type HeightField, heightTicks, indexTicks } from './field.js';

/** Floor, the two walls behind the surface, and lines across these at the ticks of the heights. */
export function paintWalls(
  context: CanvasRenderingContext2D,
  field: HeightField,
  view: Projection,
  theme: Theme,
): void {
  const { x, y } = behind(view);
  const [wallX, wallY] = [x * box.x, y * box.y];
  context.strokeStyle = theme.muted;
  context.lineWidth = 1;
  const line = (...points: readonly Point3[]) => {
    context.beginPath();
    for (const point of points) {
      const at = project(view, point);
      context.lineTo(at.x, at.y);
    }
    context.stroke();
  };
  const floor = (x: number, y: number) => ({ x: x * box.x, y: y * box.y, z: 0 });
  context.globalAlpha = 0.7;
  line(floor(-1, -1), floor(1, -1), floor(1, 1), floor(-1, 1), floor(-1, -1));
  for (const tick of heightTicks(field.top)) {
    const z = (box.z * tick) / field.top;
    context.globalAlpha = 0.3;
    line({ x: -wallX, y: wallY, z }, { x: wallX, y: wallY, z }, { x: wallX, y: -wallY, z });
  }
  context.globalAlpha = 0.7;
  const top = (x: number, y: number) => line({ x, y, z: 0 }, { x, y, z: box.z });
  for (const [x, y] of [
    [wallX, wallY],
    [-wallX, wallY],
    [wallX, -wallY],
  ] as const)
    top(x, y);
  context.globalAlpha = 1;
}

/** Axes with ticks and names, the names of peaks, and what is selected. */
export function paintAxes(
  context: CanvasRenderingContext2D,
  field: HeightField,
  view: Projection,
  theme: Theme,
  { selected, pointed }: { readonly selected: Partial<FieldCell>; readonly pointed: FieldCell | undefined },
): void {
  context.font = canvasFont(theme);
  context.textBaseline = 'middle';
  const { x, y } = behind(view);
  const place = (row: number, column: number) => floorOf(field, row, column);
  const { pool, rows, columns, rowAxis, columnAxis } = field;
  // Along the floor's two sides in front.
  const [front, side] = [y < 0 ? rows : 0, x < 0 ? columns : 0];
  const taken = [
    ...paintAxis(context, view, theme, columnAxis, (at) => place(front, (at + 0.5) / pool.columns), { x: 0, y: -y }),
    ...paintAxis(context, view, theme, rowAxis, (at) => place((at + 0.5) / pool.rows, side), { x: -x, y: 0 }),
  ];
  const heights = paintHeights(context, field, view, theme);
  paintSelection(context, field, view, theme, selected);
  paintPeaks(context, field, view, theme, taken, heights);
  if (pointed) dot(context, project(view, peakOf(field, pointed)), theme.foreground, theme.background);
  if (selected.row !== undefined && selected.column !== undefined)
    dot(
      context,
      project(view, peakOf(field, { row: selected.row, column: selected.column })),
      theme.focus,
      theme.background,
    );
}

/** Of which sign the coordinates of the two walls behind the surface are. */
function behind({ turn }: Projection): { x: 1 | -1; y: 1 | -1 } {
  return { x: turn.sin >= 0 ? 1 : -1, y: turn.cos >= 0 ? 1 : -1 };
}

/** Where a text stands: its middle, and half of its width. */
interface Place extends XY {
  readonly half: number;
}

interface Heights {
  readonly edge: number;
  readonly top: number;
  readonly bottom: number;
}

interface XY {
  readonly x: number;
  readonly y: number;
}

function paintAxis(
  context: CanvasRenderingContext2D,
  view: Projection,
  theme: Theme,
  axis: FieldAxis,
  at: (index: number) => Point3,
  outwards: XY,
): Place[] {
  const taken: Place[] = [];
  const [start, end] = [project(view, at(0)), project(view, at(Math.max(1, axis.extent - 1)))];
  const length = Math.hypot(end.x - start.x, end.y - start.y);
  const flat = length === 0 ? 0 : Math.abs(end.x - start.x) / length;
  const out = unit(direction(view, outwards), { x: 0, y: 1 });
  const label = (index: number) => fitting(context, drawnLabel(axis.label(index)), 90);
  const ticks = indexTicks(axis.extent, length, 14 + 22 * flat);
  context.strokeStyle = theme.muted;
  context.fillStyle = theme.muted;
  context.lineWidth = 1;
  // Labels lie beside an axis that is steep and below one that is flat.
  const align = out.x > 0.35 ? 'left' : out.x < -0.35 ? 'right' : 'center';
  context.textAlign = align;
  let free = { from: Number.POSITIVE_INFINITY, to: Number.NEGATIVE_INFINITY };
  let widest = 0;
  for (const tick of ticks) {
    const { x, y } = project(view, at(tick));
    const text = label(tick);
    const width = context.measureText(text).width;
    const left = x - (align === 'center' ? width / 2 : align === 'right' ? width : 0);
    // Where they would touch on one line, every other one is left out.
    const collides = flat * 12 > 12 * (1 - flat) && left < free.to + 6 && left + width > free.from - 6 && flat > 0.85;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + 4 * out.x, y + 4 * out.y);
    context.stroke();
    if (collides) continue;
    free = { from: Math.min(left, free.from), to: Math.max(left + width, free.to) };
    widest = Math.max(widest, width);
    taken.push({ x: left + width / 2 + 8 * out.x, y: y + 8 * out.y, half: width / 2 });
    context.fillText(text, x + 8 * out.x, y + 8 * out.y + (align === 'center' ? 4 : 0));
  }
  const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
  const away = align === 'center' ? 28 : 18 + Math.min(widest, 60);
  context.fillStyle = theme.foreground;
  context.textAlign = 'center';
  const half = context.measureText(axis.name).width / 2 + 2;
  const sideways = align === 'center' ? 0 : align === 'left' ? half : -half;
  const wished = middle.x + away * out.x + sideways;
  const x = Math.min(view.stage.width - half, Math.max(half, wished));
  context.fillText(axis.name, x, middle.y + away * out.y + (align === 'center' ? 4 : 10));
  return taken;
}

/** At the edge of the box that is leftmost. Where its labels end, and from where to where they reach. */
function paintHeights(context: CanvasRenderingContext2D, field: HeightField, view: Projection, theme: Theme): Heights {
  const corners = [-1, 1].flatMap((x) => [-1, 1].map((y) => ({ x: x * box.x, y: y * box.y, z: 0 })));
  const corner = corners.reduce((left, one) => (project(view, one).x < project(view, left).x ? one : left));
  const at = (z: number) => project(view, { ...corner, z: box.z * z });
  const length = at(0).y - at(1).y;
  const ticks = heightTicks(field.top);
  const every = Math.max(1, Math.ceil((13 * ticks.length) / Math.max(1, length)));
  const taken = { edge: at(0).x, top: at(1).y - 21, bottom: at(0).y };
  if (length < 20) return { ...taken, edge: 0 };
  context.strokeStyle = theme.muted;
  context.fillStyle = theme.muted;
  context.textAlign = 'right';
  context.beginPath();
  context.moveTo(at(0).x, at(0).y);
  context.lineTo(at(1).x, at(1).y);
  for (const [i, tick] of ticks.entries()) {
    const { x, y } = at(tick / field.top);
    context.moveTo(x, y);
    context.lineTo(x - 4, y);
    // The floor's own tick stands a little higher, clear of the first label of the axis along the floor.
    if (i % every === 0) context.fillText(field.heightAxis.format(tick), x - 7, i === 0 ? y - 5 : y);
  }
  context.stroke();
  context.fillStyle = theme.foreground;
  context.fillText(field.heightAxis.name, at(1).x - 7, at(1).y - 14);
  return taken;
}

/** Along the selected row and column the profile of the surface, seen through what stands before it. */
function paintSelection(
  context: CanvasRenderingContext2D,
  field: HeightField,
  view: Projection,
  theme: Theme,
  { row, column }: Partial<FieldCell>,
): void {
  context.strokeStyle = theme.focus;
  context.lineWidth = 1.25;
  const along = (count: number, cell: (index: number) => FieldCell) => {
    context.beginPath();
    for (let index = 0; index < count; index++) {
      const { x, y } = project(view, peakOf(field, cell(index)));
      context.lineTo(x, y);
    }
    context.stroke();
  };
  if (row !== undefined && row < field.rows) along(field.columns, (column) => ({ row, column }));
  if (column !== undefined && column < field.columns) along(field.rows, (row) => ({ row, column }));
}

/** Highest first, none over another or over a tick's label; the very highest in any case. */
function paintPeaks(
  context: CanvasRenderingContext2D,
  field: HeightField,
  view: Projection,
  theme: Theme,
  labels: readonly Place[],
  heights: Heights,
): void {
  const taken: Place[] = [...labels];
  context.textAlign = 'center';
  context.lineJoin = 'round';
  for (const peak of field.peaks) {
    if (peak.text === undefined) continue;
    const { x, y } = project(view, peakOf(field, peak));
    const half = context.measureText(peak.text).width / 2 + 4;
    const level = Math.max(8, y - 10);
    // Beside the numbers of the heights, where they are at its level.
    const from = half + (level > heights.top - 7 && level < heights.bottom + 7 ? heights.edge : 0);
    const label = { x: Math.min(view.stage.width - half, Math.max(from, x)), y: level, half };
    const touches = (one: Place) => Math.abs(one.y - label.y) < 14 && Math.abs(one.x - label.x) < one.half + half;
    if (y < 0 || (peak !== field.peaks[0] && taken.some(touches))) continue;
    taken.push(label);
    context.strokeStyle = theme.background;
    context.lineWidth = 4;
    context.strokeText(peak.text, label.x, label.y);
    context.fillStyle = theme.foreground;
    context.fillText(peak.text, label.x, label.y);
  }
}

function dot(context: CanvasRenderingContext2D, { x, y }: XY, color: string, seam: string): void {
  for (const [radius, fill] of [
    [5.5, seam],
    [4, color],
  ] as const) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = fill;
    context.fill();
  }
}

/** Where a direction of the floor points to on the screen. */
function direction(view: Projection, { x, y }: XY): XY {
  const [from, to] = [project(view, { x: 0, y: 0, z: 0 }), project(view, { x, y, z: 0 })];
  return { x: to.x - from.x, y: to.y - from.y };
}

function unit({ x, y }: XY, otherwise: XY): XY {
  const length = Math.hypot(x, y);
  return length === 0 ? otherwise : { x: x / length, y: y / length };
}
