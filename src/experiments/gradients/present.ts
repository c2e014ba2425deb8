import { layerName, tokenLabel } from '../../analysis/label.js';
import type { Presentation } from '../../analysis/presentation.js';
import { byLayer, byToken } from '../shared/heatmaps.js';
import { partWarnings, runSettings } from '../shared/settings.js';
import { type GradientsResult, gradientsConclusion, objectiveName, productName } from './compute.js';

/** @param text what was run is called */
export function presentGradients(result: GradientsResult, text: string): Presentation {
  const { norms, sequence, of, remarks, path, entries } = result;
  const labels = sequence.map(tokenLabel);
  const rows = norms.flatMap((row, layer) => (row ? [{ layer, row }] : []));
  return {
    title: 'Gradients',
    sentence: gradientsConclusion(result),
    settings: [...runSettings(result), { name: 'text', value: text }, { name: 'of', value: objectiveName(of) }],
    warnings: [...partWarnings(result), ...remarks],
    parts: [
      {
        kind: 'heatmap',
        heading: 'How much it depends on each hidden state',
        rows: byLayer(rows.map(({ layer }) => layer)),
        columns: byToken(labels),
        value: { name: 'L2 norm of the gradient' },
        scale: 'log',
        values: rows.flatMap(({ row }) => labels.map((_, token) => row[token] ?? null)),
      },
      {
        kind: 'table',
        heading: 'Gradients by layer',
        columns: [
          { name: 'layer' },
          { name: 'L2 norm' },
          { name: 'most on token', format: 'plain' },
          { name: 'text' },
          { name: 'its share', format: 'share', range: [0, 1] },
        ],
        rows: rows.map(({ layer, row }) => {
          const most = row.reduce((best, norm, token) => (norm > (row[best] ?? 0) ? token : best), 0);
          const total = row.reduce((sum, norm) => sum + norm ** 2, 0);
          const share = total > 0 ? (row[most] ?? 0) ** 2 / total : null;
          return [layerName(layer), Math.sqrt(total), most, labels[most] ?? '', share];
        }),
        layers: rows.map(({ layer }) => layer),
      },
      ...(path.length > 0
        ? [
            {
              kind: 'lines',
              heading: 'The entry by layer',
              x: { name: 'layer', values: path.map((_, layer) => layer) },
              y: { name: 'value', log: false },
              lines: [{ name: objectiveName(of), values: path.map((value) => value ?? null) }],
            } as const,
          ]
        : []),
      ...(entries.length > 0
        ? [
            {
              kind: 'table',
              heading: 'Weights that make it',
              columns: [
                { name: 'block', format: 'plain' },
                { name: 'product' },
                { name: 'row (gives)', format: 'plain' },
                { name: 'column (reads)', format: 'plain' },
                { name: 'weight', format: 'value' },
                { name: 'weight × derivative', format: 'value' },
              ],
              rows: entries.map(({ layer, part, row, column, value, product }) => [
                layer,
                productName(part),
                row,
                column,
                value,
                product,
              ]),
              layers: entries.map(({ layer }) => layer),
            } as const,
          ]
        : []),
    ],
  };
}
