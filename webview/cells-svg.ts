/** A grid of cells as SVG: the same colours, marks and labels as on the canvas, all of it, with room for the labels. */
import { greatest } from '../src/statistics/numbers.js';
import { type Cells, isNumber, type Mark, readableWidth, roundStep } from './cells.js';
import type { DrawnPicture, KeyEntry } from './picture.js';
import { escaped, rounded, svgText, textWidth } from './svg.js';
import { rampStep, type Theme, toneAt } from './theme.js';

/** More cells than these are an image of a pixel each, which stays sharp, and small. */
const mostShapes = 20_000;
const labelHeight = 12;
/** Room of a label that is turned. */
const longestLabel = 110;

export interface CellsRoom {
  /** Width of all cells in CSS pixels, where labels do not need more. */
  readonly width: number;
  readonly height: number;
  readonly square?: boolean;
  /** Width of a cell whose text has to be read. */
  readonly cell?: number | undefined;
}

/** Room of a page's width for cells whose texts are read; more of them stand in bands below one another. */
const bandWidth = 1000;
/** More of them would be a picture that nobody reads: cells are narrow then, and without texts. */
const mostBands = 10;

export function cellsSvg(cells: Cells, room: CellsRoom, theme: Theme): DrawnPicture {
  const { rows, columns } = cells;
  if (rows === 0 || columns === 0) return { svg: '', width: 0, height: 0 };
  const most = room.cell === undefined ? 0 : Math.floor(bandWidth / room.cell);
  if (columns > mostBands * most) return bandSvg(cells, { ...room, cell: undefined }, theme);
  if (columns <= most) return bandSvg(cells, room, theme);
  const bands = Array.from({ length: Math.ceil(columns / most) }, (_, i) =>
    bandSvg(columnsOf(cells, i * most, Math.min(columns, (i + 1) * most)), room, theme),
  );
  let height = 0;
  const placed = bands.map((band) => {
    const svg = `<g transform="translate(0 ${rounded(height)})">${band.svg}</g>`;
    height += band.height + 10;
    return svg;
  });
  return {
    svg: placed.join(''),
    width: greatest(bands.map(({ width }) => width)),
    height,
    key: keyOf(cells.marks, theme),
  };
}

/** Some of the columns, `to` left out. */
function columnsOf(cells: Cells, from: number, to: number): Cells {
  const { rows, columns, shades, marks, columnLabel, text } = cells;
  const wide = to - from;
  return {
    ...cells,
    columns: wide,
    shades: Float32Array.from(
      { length: rows * wide },
      (_, at) => shades[Math.floor(at / wide) * columns + from + (at % wide)] ?? Number.NaN,
    ),
    marks: marks.flatMap((mark) =>
      mark.column >= from && mark.column < to ? [{ ...mark, column: mark.column - from }] : [],
    ),
    columnLabel: columnLabel && ((column) => columnLabel(from + column)),
    text: text && ((row, column) => text(row, from + column)),
  };
}

function bandSvg(cells: Cells, room: CellsRoom, theme: Theme): DrawnPicture {
  const { rows, columns } = cells;
  const wide = room.cell ?? Math.min(44, Math.max(room.width / columns, columns <= 160 ? labelHeight : 1));
  const side = room.square ? Math.min(16, Math.max(room.width / columns, rows <= 64 ? labelHeight : 0.5)) : wide;
  const tall = room.square ? side : Math.min(16, Math.max(room.height / rows, rows <= 64 ? labelHeight : 1));
  const grid = { left: gutterOf(cells), wide: room.square ? side : wide, tall };
  const [width, height] = [columns * grid.wide, rows * tall];
  const names = columnLabels(cells, grid, height, theme);
  const body = rows * columns > mostShapes ? imageOf(cells, grid, theme) : shapesOf(cells, grid, theme);
  return {
    svg: `${body}${marksOf(cells.marks, grid, theme)}${rowLabels(cells, grid, theme)}${names.svg}`,
    width: grid.left + width,
    height: height + names.height,
    key: keyOf(cells.marks, theme),
  };
}

interface Grid {
  readonly left: number;
  readonly wide: number;
  readonly tall: number;
}

function gutterOf({ rows, rowLabel }: Cells): number {
  let most = 0;
  for (let row = 0; row < rows; row += Math.max(1, Math.floor(rows / 256)))
    most = Math.max(most, textWidth(rowLabel(row)));
  return Math.min(longestLabel, most) + 8;
}

/** Cells of one colour are one path. */
function shapesOf({ rows, columns, shades, ramp, text }: Cells, { left, wide, tall }: Grid, theme: Theme): string {
  const paths = new Map<number, string[]>();
  const texts: string[] = [];
  const gap = Math.min(wide, tall) >= 5 ? 1 : 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const shade = shades[row * columns + column] ?? Number.NaN;
      if (Number.isNaN(shade)) continue;
      const step = rampStep(shade);
      const [x, y] = [left + column * wide, row * tall];
      const [w, h] = [rounded(wide - gap), rounded(tall - gap)];
      const path = paths.get(step) ?? [];
      path.push(`M${rounded(x)} ${rounded(y)}h${w}v${h}h${-w}z`);
      paths.set(step, path);
      if (text === undefined || wide < readableWidth) continue;
      const fill = toneAt(theme.ramps[ramp], shade).text;
      const whole = text(row, column);
      const said = isNumber(whole) ? whole : shortened(whole, w - 4, 10);
      texts.push(svgText(x + w / 2, y + tall / 2 + 3.5, said, { size: 10, fill, anchor: 'middle' }));
    }
  }
  const tone = (step: number) => escaped(toneAt(theme.ramps[ramp], step / 255).color);
  return (
    [...paths].map(([step, path]) => `<path fill="${tone(step)}" d="${path.join('')}"/>`).join('') + texts.join('')
  );
}

function imageOf({ rows, columns, shades, ramp }: Cells, { left, wide, tall }: Grid, theme: Theme): string {
  const canvas = document.createElement('canvas');
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser gives no 2D canvas.');
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const colors = theme.ramps[ramp].ramp;
  for (const [at, shade] of shades.entries()) if (!Number.isNaN(shade)) pixels[at] = colors[rampStep(shade)] ?? 0;
  context.putImageData(image, 0, 0);
  const [width, height] = [rounded(columns * wide), rounded(rows * tall)];
  return `<image x="${rounded(left)}" y="0" width="${width}" height="${height}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${canvas.toDataURL('image/png')}"/>`;
}

function marksOf(marks: readonly Mark[], { left, wide, tall }: Grid, theme: Theme): string {
  const frames = marks.map(({ row, column, kind }) => {
    const [x, y] = [rounded(left + column * wide), rounded(row * tall)];
    const [w, h] = [rounded(Math.max(1, wide - 1)), rounded(Math.max(1, tall - 1))];
    const dashes = kind === 'large' ? ' stroke-dasharray="2 2"' : '';
    const color = escaped(kind === 'sink' ? theme.sink : theme.foreground);
    return `<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="none" stroke="${color}" stroke-width="${Math.min(1.2, wide / 3)}"${dashes}/>`;
  });
  return frames.join('');
}

function keyOf(marks: readonly Mark[], { foreground, sink }: Theme): KeyEntry[] {
  const names = { massive: 'massive', large: 'large', sink: 'above ε' } as const;
  return (['massive', 'large', 'sink'] as const)
    .filter((kind) => marks.some((mark) => mark.kind === kind))
    .map((kind) => ({ text: names[kind], color: kind === 'sink' ? sink : foreground, dashed: kind === 'large' }));
}

function rowLabels({ rows, rowLabel }: Cells, { left, tall }: Grid, theme: Theme): string {
  const step = roundStep(labelHeight / tall);
  const labels: string[] = [];
  for (let row = 0; row < rows; row += step)
    labels.push(
      svgText(left - 5, row * tall + Math.min(tall, 16) / 2 + 4, shortened(rowLabel(row)), {
        fill: theme.foreground,
        anchor: 'end',
      }),
    );
  return labels.join('');
}

/** Upright where all have room, else turned; of narrow columns each so many-th. */
function columnLabels({ columns, columnLabel }: Cells, { left, wide }: Grid, top: number, theme: Theme) {
  if (columnLabel === undefined) return { svg: '', height: 0 };
  const step = roundStep(labelHeight / wide);
  const shown = Array.from({ length: Math.ceil(columns / step) }, (_, i) => i * step);
  const labels = shown.map((column) => ({ column, text: shortened(columnLabel(column)) }));
  const longest = labels.reduce((most, { text }) => Math.max(most, textWidth(text)), 0);
  const upright = longest <= wide * step - 2;
  const svg = labels.map(({ column, text }) => {
    const x = left + (column + 0.5) * wide;
    return upright
      ? svgText(x, top + 14, text, { fill: theme.foreground, anchor: 'middle' })
      : svgText(x + 4, top + 6, text, { fill: theme.foreground, anchor: 'end', turned: -90 });
  });
  return { svg: svg.join(''), height: upright ? 18 : longest + 12 };
}

function shortened(label: string, room = longestLabel, size = 11): string {
  if (textWidth(label, size) <= room) return label;
  const signs = [...label];
  while (signs.length > 1 && textWidth(`${signs.join('')}…`, size) > room) signs.pop();
  return `${signs.join('')}…`;
}
