/** Facts in a list, and what is known of one layer. */
import { formatRatio } from '../../src/analysis/format.js';
import { layerName } from '../../src/analysis/label.js';
import type { Inspection } from '../../src/engine/contract/inspection.js';
import { html } from '../html.js';
import type { TableData } from '../table.js';
import { unbroken } from '../terms.js';
import { blockInWords, type DrawnFact, formatBytes, type ModelDrawing } from './drawing.js';

/** @param long whether values are as long as names of tensors */
export const factList = (rows: readonly DrawnFact[], long = false) =>
  html`<dl class="facts ${long ? 'long' : ''}">${rows.map(
    ({ name, value, doubt, long }) =>
      html`<div class=${long ? 'all' : ''}><dt>${name}</dt><dd class=${doubt ? 'doubt' : ''}>${unbroken(value)}</dd></div>`,
  )}</dl>`;

/** Where in the graph the parts of a block are, by the names of values there; of layer 0 what enters the first. */
export function layerFacts({ blocks }: ModelDrawing, inspection: Inspection | undefined, layer: number): DrawnFact[] {
  const block = inspection?.anatomy.blocks[layer - 1];
  const bytes = blocks[layer - 1]?.bytes ?? 0;
  const attention = block?.attention;
  const pattern = attention?.pattern;
  const rows: readonly (readonly [string, string | undefined])[] = [
    [`h_${layer}`, block ? block.residPost : inspection?.anatomy.embedding],
    ['between attention and MLP', block?.residMid],
    [
      'attention pattern',
      pattern && (pattern.from === 'graph' ? pattern.tensor : `${pattern.operator} ${pattern.node}`),
    ],
    ['keys', attention?.keys],
    ['values', attention?.values],
    ['what attention adds', attention?.output],
    ['what the MLP’s last product reads', block?.mlpIntermediate],
    ['weights', bytes > 0 ? formatBytes(bytes) : undefined],
  ];
  return rows.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [{ name, value }]));
}

/** The drawing as a table. */
export function anatomyTable({ blocks, start }: ModelDrawing, multiples: readonly number[]): TableData {
  const measured = (layer: number) => {
    const multiple = multiples[layer];
    return multiples.length === 0 ? [] : [multiple === undefined ? '–' : formatRatio(multiple)];
  };
  return {
    caption: 'Blocks, and the largest entry of what they leave in multiples of the median',
    columns: ['layer', 'what it is', ...(multiples.length > 0 ? ['largest'] : [])].map((name) => ({ name })),
    words: [true, true, false],
    rows: blocks.length + 1,
    cells: (row) => {
      const block = blocks[row - 1];
      return [layerName(row), block ? blockInWords(block) : start, ...measured(row)];
    },
  };
}
