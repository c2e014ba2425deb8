/**
 * Painting a grid of cells on a canvas: plain functions of what to show and where, knowing no element.
 *
 * Coordinates: cells (row, column) count from 0; points are CSS pixels from the canvas's top left, labels' gutter
 * included; pixels are device pixels. A {@link Viewport} says how one becomes the other.
 */
import { type RampName, rampStep, type Theme, toneAt } from './theme.js';

export interface Cells {
  readonly rows: number;
  readonly columns: number;
  /** Place on the ramp, 0 … 1, row-major; NaN where there is nothing to show. */
  readonly shades: Float32Array;
  readonly ramp: RampName;
  readonly marks: readonly Mark[];
  rowLabel(row: number): string;
  /** Undefined: columns are not named. */
  readonly columnLabel: ((column: number) => string) | undefined;
  /** Written into cells that are large enough. */
  readonly text: ((row: number, column: number) => string) | undefined;
  /** What a cell says on hover and to a screen reader: a title, then facts. */
  describe(row: number, column: number): readonly string[];
}

export interface Mark extends Cell {
  readonly kind: 'massive' | 'large' | 'sink';
}

export interface Cell {
  readonly row: number;
  readonly column: number;
}

/** Where cells lie on the canvas, in CSS pixels. The plot is the canvas without gutter (left) and footer (below). */
export interface Viewport {
  readonly width: number;
  readonly height: number;
  readonly gutter: number;
  readonly footer: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly scrollLeft: number;
  readonly scrollTop: number;
  /** Device pixels for each. */
  readonly ratio: number;
}

/** Cells smaller than this touch and are painted as pixels, larger ones as rectangles with a gap. */
const gapFrom = 5;
const labelHeight = 12;

export function pointOf(viewport: Viewport, row: number, column: number): { x: number; y: number } {
  return {
    x: viewport.gutter + column * viewport.cellWidth - viewport.scrollLeft,
    y: row * viewport.cellHeight - viewport.scrollTop,
  };
}

/** The cell under a point, or undefined over labels and empty space. */
export function cellAt(viewport: Viewport, cells: Cells, x: number, y: number): Cell | undefined {
  if (x < viewport.gutter || y < 0 || y >= viewport.height - viewport.footer) return undefined;
  const row = Math.floor((y + viewport.scrollTop) / viewport.cellHeight);
  const column = Math.floor((x - viewport.gutter + viewport.scrollLeft) / viewport.cellWidth);
  return row < cells.rows && column < cells.columns ? { row, column } : undefined;
}

/** Font for all text on canvases: the theme's, a little smaller than the page's. */
export const canvasFont = (theme: Theme, size = 11): string => `${size}px ${theme.font}`;

/** The context of a canvas that is `width` × `height` CSS pixels, in those units and sharp on any screen. */
export function contextOf(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  ratio = devicePixelRatio,
): CanvasRenderingContext2D | null {
  const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== tall) canvas.height = tall;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

export function paintCells(context: CanvasRenderingContext2D, viewport: Viewport, cells: Cells, theme: Theme): void {
  context.fillStyle = theme.background;
  context.fillRect(0, 0, viewport.width, viewport.height);
  context.save();
  context.beginPath();
  context.rect(viewport.gutter - 1, 0, viewport.width - viewport.gutter + 1, viewport.height - viewport.footer);
  context.clip();
  if (Math.min(viewport.cellWidth, viewport.cellHeight) < gapFrom) paintPixels(context, viewport, cells, theme);
  else paintRectangles(context, viewport, cells, theme);
  paintMarks(context, viewport, cells, theme);
  context.restore();
  paintRowLabels(context, viewport, cells, theme);
  if (cells.columnLabel !== undefined && viewport.footer > 0) {
    paintColumnLabels(context, viewport, cells, cells.columnLabel, theme);
  }
}

/** Many small cells: each pixel shows the largest of those that lie under it. */
function paintPixels(context: CanvasRenderingContext2D, viewport: Viewport, cells: Cells, theme: Theme): void {
  const { ratio } = viewport;
  const { ramp } = theme.ramps[cells.ramp];
  const left = Math.round(viewport.gutter * ratio);
  const width = context.canvas.width - left;
  const height = Math.round((viewport.height - viewport.footer) * ratio);
  if (width <= 0 || height <= 0) return;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const steps = new Int16Array(width * height).fill(-1);
  const range = visible(viewport, cells);
  const edge = (index: number, cell: number, scroll: number) =>
    Math.max(0, Math.floor((index * cell - scroll) * ratio));
  for (let row = range.rows[0]; row < range.rows[1]; row++) {
    const top = edge(row, viewport.cellHeight, viewport.scrollTop);
    const bottom = Math.min(height, Math.max(top + 1, edge(row + 1, viewport.cellHeight, viewport.scrollTop)));
    for (let column = range.columns[0]; column < range.columns[1]; column++) {
      const shade = cells.shades[row * cells.columns + column] ?? Number.NaN;
      if (Number.isNaN(shade)) continue;
      const step = rampStep(shade);
      const from = edge(column, viewport.cellWidth, viewport.scrollLeft);
      const to = Math.min(width, Math.max(from + 1, edge(column + 1, viewport.cellWidth, viewport.scrollLeft)));
      for (let y = top; y < bottom; y++) {
        for (let at = y * width + from; at < y * width + to; at++) {
          if (step > (steps[at] ?? step)) steps[at] = step;
        }
      }
    }
  }
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at] ?? -1;
    if (step >= 0) pixels[at] = ramp[step] ?? 0;
  }
  context.putImageData(image, left, 0);
}

function paintRectangles(context: CanvasRenderingContext2D, viewport: Viewport, cells: Cells, theme: Theme): void {
  const range = visible(viewport, cells);
  const [wide, tall] = [viewport.cellWidth - 1, viewport.cellHeight - 1];
  const text = viewport.cellWidth >= readableWidth && viewport.cellHeight >= 14 ? cells.text : undefined;
  context.font = canvasFont(theme);
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  for (let row = range.rows[0]; row < range.rows[1]; row++) {
    for (let column = range.columns[0]; column < range.columns[1]; column++) {
      const shade = cells.shades[row * cells.columns + column] ?? Number.NaN;
      if (Number.isNaN(shade)) continue;
      const tone = toneAt(theme.ramps[cells.ramp], shade);
      const { x, y } = pointOf(viewport, row, column);
      context.fillStyle = tone.color;
      context.fillRect(x, y, wide, tall);
      if (text === undefined) continue;
      context.fillStyle = tone.text;
      context.fillText(whole(context, text(row, column), wide - 4), x + wide / 2, y + tall / 2 + 0.5);
    }
  }
}

/**
 * Frames round marked cells: solid for massive, dashed for large, of the sinks' colour for sinks. Cells that touch get
 * lines at their sides, outside, so that they do not vanish under their own frames.
 */
function paintMarks(context: CanvasRenderingContext2D, viewport: Viewport, cells: Cells, theme: Theme): void {
  const { cellWidth, cellHeight } = viewport;
  const touching = Math.min(cellWidth, cellHeight) < gapFrom;
  const roomy = Math.min(cellWidth, cellHeight) >= 12;
  for (const mark of cells.marks) {
    const { x, y } = pointOf(viewport, mark.row, mark.column);
    const stroke = (color: string, width: number, inset: number) => {
      context.strokeStyle = color;
      context.lineWidth = width;
      const edge = inset + width / 2;
      context.strokeRect(x + edge, y + edge, cellWidth - 1 - 2 * edge, cellHeight - 1 - 2 * edge);
    };
    context.setLineDash([]);
    if (touching) {
      context.fillStyle = mark.kind === 'sink' ? theme.sink : theme.foreground;
      const tall = mark.kind === 'large' ? cellHeight / 2 : cellHeight;
      for (const side of [x - 1, x + cellWidth]) context.fillRect(side, y, 1, tall);
    } else if (mark.kind === 'sink') {
      stroke(theme.sink, roomy ? 2 : 1, 0);
    } else {
      // On a ground of its own, for the cell may have any colour.
      if (roomy) stroke(theme.background, 1, 1);
      if (mark.kind === 'large') context.setLineDash([2, 2]);
      stroke(theme.foreground, 1, 0);
    }
  }
  context.setLineDash([]);
}

function paintRowLabels(context: CanvasRenderingContext2D, viewport: Viewport, cells: Cells, theme: Theme): void {
  context.font = canvasFont(theme);
  context.fillStyle = theme.muted;
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  const step = roundStep(labelHeight / viewport.cellHeight);
  let free = 0;
  for (let row = 0; row < cells.rows; row += step) {
    const y = row * viewport.cellHeight - viewport.scrollTop + (viewport.cellHeight - 1) / 2;
    if (y < -1 || y > viewport.height - viewport.footer) continue;
    // The first stands a little lower where its cell is low, and the next may have no room then.
    const place = Math.max(6, y);
    if (place < free) continue;
    free = place + labelHeight - 1;
    const label = fitting(context, drawnLabel(cells.rowLabel(row)), viewport.gutter - 8);
    context.fillText(label, viewport.gutter - 6, place);
  }
}

function paintColumnLabels(
  context: CanvasRenderingContext2D,
  viewport: Viewport,
  cells: Cells,
  label: (column: number) => string,
  theme: Theme,
): void {
  const upright = viewport.footer <= 18;
  context.save();
  context.beginPath();
  context.rect(viewport.gutter - 6, 0, viewport.width - viewport.gutter + 6, viewport.height);
  context.clip();
  context.font = canvasFont(theme);
  context.fillStyle = theme.muted;
  context.textAlign = upright ? 'center' : 'right';
  context.textBaseline = 'middle';
  const [from, to] = visible(viewport, cells).columns;
  const step = upright ? 1 : roundStep(labelHeight / viewport.cellWidth);
  for (let column = Math.ceil(from / step) * step; column < to; column += step) {
    const { x } = pointOf(viewport, 0, column);
    context.save();
    context.translate(x + (viewport.cellWidth - 1) / 2, viewport.height - viewport.footer + (upright ? 10 : 4));
    if (!upright) context.rotate(-Math.PI / 2);
    const text = drawnLabel(label(column));
    context.fillText(upright ? text : fitting(context, text, viewport.footer - 6), 0, 0.5);
    context.restore();
  }
  context.restore();
}

/** A rectangle and the width of the line round it, within it, as attributes of SVG. */
export interface Outline {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly 'stroke-width': number;
}

/** Where the selected row and column and the cell that is pointed at are outlined, in CSS pixels from the area's corner. */
export interface Outlined {
  /** Cells and the lines round them, without labels, in CSS pixels from the canvas's top left. */
  readonly area: { readonly x: number; readonly width: number; readonly height: number };
  readonly row: Outline | undefined;
  readonly column: Outline | undefined;
  readonly pointed: Outline | undefined;
}

export function outlined(
  viewport: Viewport,
  { rows, columns }: Pick<Cells, 'rows' | 'columns'>,
  { row, column }: Partial<Cell>,
  pointed: Cell | undefined,
): Outlined {
  const x = Math.floor(viewport.gutter - 2);
  const outline = (from: Cell, to: Cell, width: number): Outline => {
    const start = pointOf(viewport, from.row, from.column);
    const end = pointOf(viewport, to.row + 1, to.column + 1);
    return {
      x: start.x - x - 1 + width / 2,
      y: start.y - 1 + width / 2,
      width: Math.max(2, end.x - start.x + 1 - width),
      height: Math.max(2, end.y - start.y + 1 - width),
      'stroke-width': width,
    };
  };
  const has = (index: number | undefined, count: number): index is number => index !== undefined && index < count;
  return {
    area: { x, width: viewport.width - x, height: viewport.height - viewport.footer + 1 },
    row: has(row, rows) ? outline({ row, column: 0 }, { row, column: columns - 1 }, 1.5) : undefined,
    column: has(column, columns) ? outline({ row: 0, column }, { row: rows - 1, column }, 1.5) : undefined,
    pointed: pointed && outline(pointed, pointed, 2),
  };
}

/** The widest of `count` labels in CSS pixels; of very many, a sample. */
export function widest(context: CanvasRenderingContext2D, count: number, label: (index: number) => string): number {
  const step = Math.max(1, Math.floor(count / 64));
  let most = 0;
  for (let index = 0; index < count; index += step)
    most = Math.max(most, context.measureText(drawnLabel(label(index))).width);
  return Math.ceil(most);
}

function visible(viewport: Viewport, cells: Cells): { rows: [number, number]; columns: [number, number] } {
  const span = (offset: number, length: number, cell: number, count: number): [number, number] => [
    Math.max(0, Math.floor(offset / cell)),
    Math.min(count, Math.ceil((offset + length) / cell)),
  ];
  return {
    rows: span(viewport.scrollTop, viewport.height - viewport.footer, viewport.cellHeight, cells.rows),
    columns: span(viewport.scrollLeft, viewport.width - viewport.gutter, viewport.cellWidth, cells.columns),
  };
}

/** The smallest of 1, 2, 4, 5, 10, 20 … that is at least `step`. */
export function roundStep(step: number): number {
  if (step <= 1) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(step));
  return ([1, 2, 4, 5, 10].find((factor) => factor * magnitude >= step) ?? 10) * magnitude;
}

/** Fonts of canvases seldom have the sign of a carriage return. */
export const drawnLabel = (label: string): string => label.replaceAll('␍', '\\r');

/** CSS pixels of the narrowest cell that has room for a text. */
export const readableWidth = 34;

/** Whether a cell's text is a number, which is told whole or not at all. */
export const isNumber = (text: string): boolean => /^[+−]?[\d.,]+( [%×])?$/.test(text);

/** A cell's text where there is room for it; of a number a part would be another number. */
function whole(context: CanvasRenderingContext2D, text: string, room: number): string {
  const label = fitting(context, text, room);
  return isNumber(text) && label !== text ? '' : label;
}

/** As much of a label as there is room for, in CSS pixels. */
export function fitting(context: CanvasRenderingContext2D, label: string, room: number): string {
  if (context.measureText(label).width <= room) return label;
  let end = label.length - 1;
  while (end > 0 && context.measureText(`${label.slice(0, end)}…`).width > room) end--;
  return `${label.slice(0, end)}…`;
}
