/** Magnitudes of the residual stream as what is drawn and told of them: surface, flat cells, table. Pure. */
import { formatNumber, formatValue } from '../src/analysis/format.js';
import { layerName } from '../src/analysis/label.js';
import { kindOf, ratio } from '../src/analysis/massive.js';
import { finiteCell } from '../src/analysis/presentation.js';
import type { AnswerTo } from '../src/engine/contract/questions.js';
import type { Cells } from './cells.js';
import type { Scale } from './scale.js';
import type { FieldCell, HeightField, Peak } from './surface/field.js';
import type { TableData } from './table.js';
import type { Scene } from './view.js';

/** Rows are the tokens of one layer, or the layers of one token. */
export type Over = 'tokens' | 'layers';

export interface Magnitudes extends AnswerTo<'magnitudes'> {
  readonly over: Over;
  /** The layer, or the token. */
  readonly at: number;
}

type Told = Pick<Scene, 'analysis' | 'findings' | 'thresholds'>;

/** Peaks that keys go to, and of these how many may be named. */
const gone = 24;
const named = 8;

export function magnitudesField(magnitudes: Magnitudes, scene: Told, scale: Scale): HeightField {
  const { rows, columns, pool, values } = magnitudes;
  const entry = entries(magnitudes, scene);
  const heights = values.map(Math.abs);
  const shades = new Float32Array(values.length);
  let top = Number.MIN_VALUE;
  for (const [index, height] of heights.entries()) {
    const median = entry.median(index);
    shades[index] = median > 0 && height > 0 ? scale.at(height / median) : height > 0 ? Number.NaN : 0;
    if (height > top && Number.isFinite(height)) top = height;
  }
  const { labels } = scene.findings;
  const tokens = magnitudes.over === 'tokens';
  return {
    rows,
    columns,
    pool,
    heights,
    shades,
    top,
    peaks: peaksOf(magnitudes, scene),
    rowAxis: {
      name: tokens ? 'token' : 'layer',
      extent: tokens ? scene.findings.tokens : scene.analysis.layers.length,
      label: tokens ? (token) => (labels[token] === undefined ? `${token}` : `${token} ${labels[token]}`) : layerName,
    },
    columnAxis: { name: 'dimension', extent: entry.dims, label: String },
    heightAxis: { name: '|h|', format: formatNumber },
  };
}

/** What is highest, named where it stands out; over layers each dim once, where it is highest. */
function peaksOf(magnitudes: Magnitudes, scene: Told): Peak[] {
  const { columns, values, over } = magnitudes;
  const entry = entries(magnitudes, scene);
  return highest(values, over === 'tokens' ? undefined : columns).map((index, rank) => {
    const { token, layer, dim, value } = entry.at(index);
    const state = scene.analysis.layers[layer];
    const kind = state && kindOf(value, state, scene.thresholds);
    const sign = kind === undefined ? '' : { massive: '▲ ', large: '△ ' }[kind];
    const where = over === 'tokens' ? (scene.findings.labels[token] ?? `token ${token}`) : `layer ${layerName(layer)}`;
    const text = `${sign}${formatValue(value)} · dim ${dim} · ${where}`;
    // Where nothing stands out the highest is named all the same: it says how high the axis is.
    const isNamed = (kind !== undefined && rank < named) || rank === 0;
    return { row: Math.floor(index / columns), column: index % columns, text: isNamed ? text : undefined };
  });
}

/**
 * Indices of the highest cells, the highest first, without sorting all of them.
 *
 * @param columns of which each counts once; undefined: every cell counts
 */
function highest(values: Float32Array, columns: number | undefined): number[] {
  const height = (index: number | undefined) => (index === undefined ? -1 : Math.abs(values[index] ?? 0));
  const best = new Map<number, number>();
  let found: number[] = [];
  for (const [index, value] of values.entries()) {
    const magnitude = Math.abs(value);
    if (columns === undefined) {
      if (!(magnitude > height(found[gone - 1]))) continue;
      const place = found.findIndex((other) => height(other) < magnitude);
      found.splice(place < 0 ? found.length : place, 0, index);
      found = found.slice(0, gone);
    } else if (magnitude > height(best.get(index % columns))) best.set(index % columns, index);
  }
  return columns === undefined ? found : [...best.values()].sort((a, b) => height(b) - height(a)).slice(0, gone);
}

/** Indices of cells by falling magnitude; what is no number comes last. */
function ranked(values: Float32Array): number[] {
  const key = (index: number) => {
    const magnitude = Math.abs(values[index] ?? Number.NaN);
    return Number.isNaN(magnitude) ? -1 : magnitude;
  };
  return Array.from(values.keys()).sort((a, b) => key(b) - key(a));
}

/** What a cell stands for. */
function entries({ over, at, places, values }: Magnitudes, { analysis }: Told) {
  const { dims = 1 } = analysis.layers[0] ?? {};
  const medians = analysis.layers.map(({ median }) => median);
  const row = (index: number) => Math.floor((places[index] ?? 0) / dims);
  const layer = (index: number) => (over === 'tokens' ? at : row(index));
  return {
    dims,
    median: (index: number) => medians[layer(index)] ?? Number.NaN,
    at: (index: number) => ({
      token: over === 'tokens' ? row(index) : at,
      layer: layer(index),
      dim: (places[index] ?? 0) % dims,
      value: values[index] ?? Number.NaN,
    }),
  };
}

/** The same, seen from above. */
export function flatCells(field: HeightField, describe: (cell: FieldCell) => readonly string[]): Cells {
  const { rows, columns, pool, rowAxis, columnAxis, heights, heightAxis } = field;
  return {
    rows,
    columns,
    shades: field.shades.map((shade, index) => (Number.isFinite(heights[index]) ? shade : Number.NaN)),
    ramp: 'magnitude',
    marks: [],
    rowLabel: (row) => rowAxis.label(row * pool.rows),
    columnLabel: (column) => columnAxis.label(column * pool.columns),
    text: (row, column) => heightAxis.format(heights[row * columns + column] ?? Number.NaN),
    describe: (row, column) => describe({ row, column }),
  };
}

/** Of each cell its largest entry, strongest first. */
export function tableOfMagnitudes(magnitudes: Magnitudes, scene: Told): TableData {
  const entry = entries(magnitudes, scene);
  const order = ranked(magnitudes.values);
  const { pool } = magnitudes;
  const of = pool.rows * pool.columns > 1 ? ` of each ${pool.rows} × ${pool.columns} entries` : '';
  return {
    caption: `Largest magnitudes${of}, strongest first`,
    columns: [
      { name: 'token' },
      { name: 'layer' },
      { name: 'dim', format: 'plain' },
      { name: 'value', format: 'value' },
      { name: '÷ median', format: 'ratio' },
    ],
    rows: order.length,
    cells: (row) => {
      const { token, layer, dim, value } = entry.at(order[row] ?? 0);
      const state = scene.analysis.layers[layer];
      const label = scene.findings.labels[token] ?? '';
      return [`${token} ${label}`, layerName(layer), dim, value, state ? finiteCell(ratio(value, state)) : null];
    },
  };
}
