import { formatNumber } from '../../analysis/format.js';
import { tokenLabel } from '../../analysis/label.js';
import type { HeatmapPart, LinesPart, Presentation } from '../../analysis/presentation.js';
import { greatest } from '../../statistics/numbers.js';
import { byHead, byLayer, logRatio } from '../shared/heatmaps.js';
import { massiveSettings, sinkSettings } from '../shared/settings.js';
import { type Compared, type CompareResult, compareConclusion, type Difference } from './compute.js';

export function presentCompare(result: CompareResult): Presentation {
  const { runs, thresholds, axes, differences } = result;
  const texts = [...new Set(runs.map(({ text }) => text))];
  const name = (run: Compared) => (texts.length > 1 ? `${run.name} on ${run.text}` : run.name);
  const first = runs[0] ? name(runs[0]) : '';
  const scored = runs.flatMap(({ perplexity }) => (typeof perplexity === 'string' ? [] : [perplexity]));
  const layers = Array.from({ length: axes.layers + 1 }, (_, k) => k);
  // The first one too, at zero: so that a run has the same colour in all charts.
  const apart = [
    { name: first, values: layers.map(() => 0) },
    ...differences.map(({ run, ratio }) => ({ name: name(run), values: ratio ?? layers.map(() => null) })),
  ];
  const lines = (value: (layer: Compared['layers'][number]) => number) =>
    runs.map((run) => ({
      name: name(run),
      values: layers.map((k) => {
        const layer = run.layers[k];
        return layer ? value(layer) : null;
      }),
    }));
  return {
    title: 'Compare models or texts',
    sentence: compareConclusion(result),
    settings: [
      { name: 'models', value: distinct(runs.map((run) => run.name)) },
      { name: 'text', value: texts.join(', ') },
      { name: 'T', value: distinct(runs.map(({ tokens }) => tokens)) },
      ...(scored.length === 0
        ? []
        : [
            { name: 'perplexity in windows of', value: distinct(scored.map(({ window }) => window)) },
            { name: 'stride', value: distinct(scored.map(({ stride }) => stride)) },
            { name: 'tokens scored', value: distinct(scored.map(({ tokens }) => tokens)) },
          ]),
      { name: 'BOS', value: runs.map((run) => `${name(run)} ${run.bos ? 'on' : 'off'}`).join(', ') },
      ...massiveSettings(thresholds),
      ...sinkSettings(thresholds),
    ],
    warnings: [
      ...together(
        runs.flatMap((run) => (typeof run.perplexity === 'string' ? [{ of: name(run), why: run.perplexity }] : [])),
        (names, why) => `No perplexity of ${names}: ${why}`,
      ),
      ...together(
        differences.flatMap((difference) => notShown(difference).map((why) => ({ of: name(difference.run), why }))),
        (names, why) => `Against ${first}, ${names}: ${why}`,
      ),
    ],
    parts: [
      {
        kind: 'table',
        heading: 'Side by side',
        columns: [
          { name: 'model' },
          { name: 'prefix' },
          { name: 'massive in layers' },
          { name: 'largest ratio', format: 'ratio' },
          { name: 'sink rate, first token', format: 'share' },
          { name: 'sink rate, extra column', format: 'share' },
          { name: 'perplexity', format: 'fixed' },
        ],
        rows: runs.map((run) => [
          name(run),
          run.bos ? `token ${run.prefix}` : 'none',
          run.massive ? `${run.massive[0]} to ${run.massive[1]}` : 'none',
          greatest(run.layers.map(({ ratio }) => ratio)),
          run.sinks.rate ?? null,
          run.sinks.extraRate ?? null,
          typeof run.perplexity === 'string' ? null : run.perplexity.perplexity,
        ]),
      },
      {
        kind: 'lines',
        heading: 'Largest activation by layer',
        x: { name: 'layer', values: layers },
        y: { name: 'largest |h|', log: true },
        lines: lines(({ top }) => Math.abs(top[0]?.value ?? 0)),
      },
      {
        kind: 'lines',
        heading: 'Largest activation over the layer’s median',
        x: { name: 'layer', values: layers },
        y: { name: 'largest |h| ÷ median', format: 'ratio', log: true },
        lines: lines(({ ratio }) => ratio),
      },
      ...(differences.some(({ ratio }) => ratio) ? [apartByLayer(layers, apart, first)] : []),
      ...apartByToken(result, name),
      ...differences.flatMap(({ run, sink }): HeatmapPart[] =>
        sink
          ? [
              {
                heading: `Attention on sinks: ${name(run)} minus ${first}`,
                ...byHead(layers.slice(1, sink.length + 1), axes.heads, (row, head) => sink[row]?.[head]),
                value: { name: 'difference in α', format: 'signed' },
                scale: 'diverging',
                range: [-1, 1],
              },
            ]
          : [],
      ),
    ],
  };
}

const distinct = (values: readonly (string | number)[]) =>
  Array.from(new Set(values), (value) => (typeof value === 'number' ? formatNumber(value) : value)).join(', ');

function apartByLayer(layers: readonly number[], lines: LinesPart['lines'], first: string): LinesPart {
  return {
    kind: 'lines',
    heading: `Largest activation over the median, against ${first}`,
    x: { name: 'layer', values: layers },
    y: { name: `log₁₀ of the ratio ÷ that of ${first}`, format: 'signed', log: false },
    lines,
  };
}

function apartByToken({ differences }: CompareResult, name: (run: Compared) => string): HeatmapPart[] {
  const parts = differences.flatMap(({ run, first, tokens }): HeatmapPart[] => {
    if (!tokens) return [];
    const shared = Array.from({ length: tokens.count }, (_, i) => ({ of: tokens.of + i, from: tokens.from + i }));
    return [
      {
        kind: 'heatmap',
        heading: `Largest activation by layer and token: ${name(run)} ÷ ${name(first)}`,
        rows: byLayer(run.layers.map((_, k) => k)),
        columns: { name: 'token', labels: shared.map((at) => tokenAt(run, at.of)) },
        value: { name: `log₁₀ of largest |h| ÷ that of ${name(first)}`, format: 'signed' },
        scale: 'diverging',
        values: run.tokenMax.flatMap((row, k) =>
          shared.map((at) => logRatio(row[at.of] ?? 0, first.tokenMax[k]?.[at.from] ?? 0)),
        ),
      },
    ];
  });
  const largest = parts
    .flatMap(({ values }) => values)
    .reduce<number>((most, value) => Math.max(most, Math.abs(value ?? 0)), 0);
  return parts.map((part) => ({ ...part, range: [-largest, largest] }));
}

function tokenAt({ sequence }: Compared, index: number): string {
  const token = sequence[index];
  return token ? tokenLabel(token) : '';
}

/** Why a difference is not among the parts. */
function notShown({ ratio, sink, tokens }: Difference): string[] {
  if (!ratio) return ['other numbers of layers, so no difference by layer is shown.'];
  return [
    ...(sink ? [] : ['other numbers of heads, so no difference in attention is shown.']),
    ...(tokens ? [] : ['other tokens, so no difference by token is shown.']),
  ];
}

/** What is the same of several is said once, of all of them. */
function together(
  said: readonly { readonly of: string; readonly why: string }[],
  sentence: (names: string, why: string) => string,
): string[] {
  return [...new Set(said.map(({ why }) => why))].map((why) =>
    sentence(said.flatMap((one) => (one.why === why ? [one.of] : [])).join(', '), why),
  );
}
