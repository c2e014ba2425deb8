/** What heatmaps of several experiments share. */
import { layerName } from '../../analysis/label.js';
import type { Axis, HeatmapPart } from '../../analysis/presentation.js';

/** Residual points as rows: a click leads to the layer. */
export const byLayer = (layers: readonly number[]): Axis => ({
  name: 'layer',
  labels: layers.map(layerName),
  leads: { to: 'layer', values: layers },
});

/** All tokens of a run as columns: a click leads to the token. */
export const byToken = (labels: readonly string[]): Axis => ({
  name: 'token',
  labels,
  leads: { to: 'token', values: labels.map((_, token) => token) },
});

/**
 * Cells by layer and head; null where there is nothing to show.
 *
 * @param layers what the rows are called
 * @param heads columns, as many as the layer with the most has
 */
export function byHead(
  layers: readonly number[],
  heads: number,
  value: (row: number, head: number) => number | null | undefined,
): Pick<HeatmapPart, 'kind' | 'rows' | 'columns' | 'values'> {
  const indices = Array.from({ length: heads }, (_, head) => head);
  return {
    kind: 'heatmap',
    rows: { name: 'layer', labels: layers.map(String), leads: { to: 'layer', values: layers } },
    columns: { name: 'head', labels: indices.map(String), leads: { to: 'head', values: indices } },
    values: layers.flatMap((_, row) => indices.map((head) => value(row, head) ?? null)),
  };
}

/** log₁₀ of one ÷ other; null where a magnitude is 0. */
export const logRatio = (one: number, other: number) => (one > 0 && other > 0 ? Math.log10(one / other) : null);
