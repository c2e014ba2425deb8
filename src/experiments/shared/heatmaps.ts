/** What heatmaps of several experiments share. */
import type { HeatmapPart } from '../../analysis/presentation.js';

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
