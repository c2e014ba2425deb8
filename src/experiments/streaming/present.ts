import { counted } from '../../analysis/format.js';
import type { HeatmapPart, Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { greatest } from '../../statistics/numbers.js';
import { byHead } from '../shared/heatmaps.js';
import { rowBars, rowTable } from '../shared/rows.js';
import { lostWarnings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type StreamingResult, streamingConclusion } from './compute.js';

export function presentStreaming(result: StreamingResult, { text }: { readonly text: NamedText }): Presentation {
  const { model, window, sinks, windows, evicted, rows } = result;
  const heads = greatest(evicted.window.map((shares) => shares.length));
  const heatmap = (heading: string, shares: readonly (readonly number[])[]): HeatmapPart => ({
    heading,
    ...byHead(
      shares.map((_, i) => i + 1),
      heads,
      (row, head) => shares[row]?.[head],
    ),
    value: { name: 'evicted attention', format: 'share' },
    scale: 'linear',
    range: [0, 1],
  });
  return {
    title: 'Sliding window and sinks',
    sentence: streamingConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: text.name },
      ...windowSettings(windows, rows[0]?.tokens),
      { name: 'attention window', value: counted(window, 'key') },
      { name: 'sinks kept', value: `${sinks}` },
    ],
    warnings: lostWarnings(windows),
    parts: [
      rowBars(rows),
      rowTable(rows),
      heatmap('Attention evicted by the window', evicted.window),
      heatmap(
        `Attention evicted, first ${sinks === 1 ? 'token' : `${sinks} tokens`} kept`,
        evicted['window and sinks'],
      ),
    ],
  };
}
