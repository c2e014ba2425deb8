import { counted } from '../../analysis/format.js';
import type { HeatmapPart, Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { experiment } from '../before/experiment.js';
import { byHead } from '../shared/heatmaps.js';
import { presented, rowBars, rowTable } from '../shared/rows.js';
import { leftWarnings, windowSettings } from '../shared/settings.js';
import { conclusion, type StreamingResult, streaming } from './compute.js';

export function presentStreaming(result: StreamingResult, text: string): Presentation {
  const { model, window, sinks, windows, evicted, rows } = result;
  const heads = Math.max(...evicted.window.map((shares) => shares.length));
  const heatmap = (heading: string, shares: readonly (readonly number[])[]): HeatmapPart => ({
    heading,
    ...byHead(
      shares.map((_, i) => i + 1),
      heads,
      (row, head) => shares[row][head],
    ),
    value: { name: 'evicted attention', format: 'share' },
    scale: 'linear',
    range: [0, 1],
  });
  return {
    title: 'Sliding window and sinks',
    sentence: conclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: text },
      ...windowSettings(windows, rows[0]?.tokens),
      { name: 'attention window', value: counted(window, 'key') },
      { name: 'sinks kept', value: `${sinks}` },
    ],
    warnings: leftWarnings(windows),
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

export const streamingExperiment = experiment({
  id: 'streaming',
  title: 'Sliding window and sinks',
  description: 'What attention through a sliding window costs, and what keeping the first tokens gives back.',
  inputs: {
    text: { kind: 'text', label: 'Text' },
    window: { kind: 'whole', label: 'Attention window', least: 2, default: 64 },
    sinks: { kind: 'whole', label: 'Sinks kept', least: 0, default: 4 },
    length: { kind: 'whole', label: 'Length (tokens)', least: 3, default: 512 },
    tokens: { kind: 'whole', label: 'First tokens only', least: 1, open: 'all' },
  },
  steps({ engine, ...setup }, { text, ...values }, signal) {
    const request = { ...setup, ...values, text: text.text };
    return presented(streaming(engine, request, signal), (result) => presentStreaming(result, text.name));
  },
});
