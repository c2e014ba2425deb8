/** A heatmap of a presentation as the cells and the scale that the grid draws. */
import { formatCell, formatTick, type HeatmapPart } from '../../src/analysis/presentation.js';
import type { Cells } from '../cells.js';
import type { CellSize } from '../grid.js';
import { linearScale, logScale, type Scale } from '../scale.js';

export function scaleOf({ scale, values, value, range }: HeatmapPart): Scale {
  const known = (range ?? values).filter((one): one is number => one !== null && Number.isFinite(one));
  const format = (one: number) => formatTick(one, value.format);
  const most = known.reduce((a, b) => Math.max(a, b), 0);
  const least = known.reduce((a, b) => Math.min(a, b), most);
  if (scale === 'diverging') {
    const far = Math.max(most, -least) || 1;
    return linearScale(-far, far, format, 'difference');
  }
  if (scale === 'linear') return linearScale(Math.min(0, least), most || 1, format);
  const positive = known.filter((one) => one > 0);
  const from = positive.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  return logScale(Number.isFinite(from) ? Math.min(from, most / 10) : 1, most || 10, format);
}

export function cellsOf(part: HeatmapPart, scale: Scale): Cells {
  const { rows, columns, value, values, texts, notes } = part;
  const [tall, wide] = [rows.labels.length, columns.labels.length];
  const shades = Float32Array.from({ length: tall * wide }, (_, at) => {
    const one = values[at];
    return one === null || one === undefined ? Number.NaN : scale.at(one);
  });
  const said = (at: number) => formatCell(values[at] ?? null, value.format);
  return {
    rows: tall,
    columns: wide,
    shades,
    ramp: scale.ramp,
    marks: [],
    rowLabel: (row) => rows.labels[row] ?? '',
    columnLabel: (column) => columns.labels[column] ?? '',
    text: (row, column) => texts?.[row * wide + column] ?? said(row * wide + column),
    describe: (row, column) => {
      const at = row * wide + column;
      const title = `${rows.name} ${rows.labels[row] ?? ''} · ${columns.name} ${columns.labels[column] ?? ''}`;
      const beside = [texts?.[at] ?? '', notes?.[at] ?? ''].filter((one) => one !== '');
      return [title, ...beside, `${value.name}: ${said(at) || '–'}`];
    },
  };
}

export function sizeOf({ texts }: HeatmapPart): CellSize {
  return texts ? { width: [50, 80], height: [16, 20], plot: 420 } : { width: [4, 44], height: [8, 18], plot: 400 };
}
