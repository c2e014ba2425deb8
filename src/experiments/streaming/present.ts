import { counted, formatNumber, formatShare } from '../../analysis/format.js';
import { finiteCell, type HeatmapPart, type Part, type Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { greatest } from '../../statistics/numbers.js';
import { byHead } from '../shared/heatmaps.js';
import { rowBars, rowTable } from '../shared/rows.js';
import { lostWarnings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { meanShare, type StreamingResult, streamingConclusion } from './compute.js';
import type { Rolled } from './rolling.js';

export function presentStreaming(result: StreamingResult, { text }: { readonly text: NamedText }): Presentation {
  const { model, window, sinks, windows, evicted, rows, rolling } = result;
  const heads = greatest(evicted.window.map((shares) => shares.length));
  const heatmap = (heading: string, shares: readonly (readonly number[])[]): HeatmapPart => ({
    heading: `${heading}: ${formatShare(meanShare(shares))}`,
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
    warnings: [...lostWarnings(windows), ...(rolling?.refused ?? []), ...(rolling ? unseenWindow(rolling) : [])],
    parts: [
      rowBars(rows),
      rowTable(rows),
      ...(rolling && rolling.rows.length > 0 ? rolledParts(rolling) : []),
      ...(rolling?.evicted ? [heatmap('Attention evicted by the rolling cache, in its own run', rolling.evicted)] : []),
      heatmap('Attention evicted by the window', evicted.window),
      heatmap(
        `Attention evicted, first ${sinks === 1 ? 'token' : `${sinks} tokens`} kept`,
        evicted['window and sinks'],
      ),
    ],
  };
}

function rolledParts({ tokens, rows }: Rolled): Part[] {
  return [
    { ...rowBars(rows), heading: `Perplexity over ${formatNumber(tokens)} tokens in one go` },
    {
      kind: 'table',
      heading: 'Ways to keep the cache',
      columns: [
        { name: 'cache' },
        { name: 'perplexity', format: 'fixed' },
        { name: 'bytes' },
        { name: 'tokens per second', format: 'fixed' },
      ],
      rows: rows.map(({ name, perplexity, bytes, perSecond }) => [name, perplexity, bytes, finiteCell(perSecond)]),
    },
  ];
}

/** What was not looked at, where the memory or the context has no room for it. */
const unseenWindow = ({ tokens, checked, rows }: Rolled) =>
  tokens > checked && rows.length > 0
    ? [
        `How far back blocks look was seen on the first ${checked} tokens, for which there is room: if the model itself has a window longer than that, it is not kept to, and “all” is not what the model gives.`,
      ]
    : [];
