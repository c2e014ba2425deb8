/** A whole run as a presentation: what stands out, layer by layer, and what comes next. Pure. */
import type { Analysis } from './analysis.js';
import { formatNumber } from './format.js';
import { layerName } from './label.js';
import { massiveActivations, ratio } from './massive.js';
import { guessedInputs, outputHeading, outputLines } from './outputs.js';
import { predictionTable } from './present.js';
import type { Part, Presentation, Setting } from './presentation.js';
import { sinks } from './sinks.js';
import { summaryText, tokenName } from './summary.js';
import type { Thresholds } from './thresholds.js';

/** Empty of parts where the run has no layers yet. */
export function presentOverview(analysis: Analysis, thresholds: Thresholds): Presentation {
  return {
    title: `Analysis of ${analysis.started?.model.name ?? 'a model'}`,
    sentence: summaryText(analysis, thresholds),
    settings: overviewSettings(analysis, thresholds),
    warnings: overviewWarnings(analysis),
    parts: [
      massivePart(analysis, thresholds),
      sinkPart(analysis, thresholds),
      layerPart(analysis),
      ...predictionParts(analysis),
      tokenPart(analysis),
    ],
  };
}

/** What the figures of a run depend on. */
export function overviewSettings({ started, tokens }: Analysis, thresholds: Thresholds): Setting[] {
  const { model, settings } = started ?? {};
  const bos = settings?.bos === undefined ? 'as given' : settings.bos ? 'on' : 'off';
  return [
    { name: 'model', value: model?.name ?? '' },
    ...(model && model.streams.length > 1 ? [{ name: 'stream', value: model.stream }] : []),
    { name: 'layers', value: `${model?.layers ?? ''}` },
    { name: 'T', value: `${tokens?.tokens.length ?? 0}` },
    { name: 'BOS', value: bos },
    ...(settings?.chat === 'on' || settings?.chat === 'system' ? [{ name: 'chat', value: settings.chat }] : []),
    {
      name: 'massive',
      value: `|h| > ${formatNumber(thresholds.absolute)} and ≥ ${formatNumber(thresholds.ratio)} × median`,
    },
    { name: 'large', value: `≥ ${formatNumber(thresholds.soft)} × median` },
    { name: 'sink', value: `α > ${thresholds.epsilon}` },
  ];
}

function overviewWarnings(analysis: Analysis): string[] {
  const { started, tokens } = analysis;
  const part =
    tokens && tokens.tokens.length < tokens.total
      ? [
          `Only tokens ${formatNumber(tokens.window.start)} to ${formatNumber(tokens.window.end - 1)} of ${formatNumber(tokens.total)} were run.`,
        ]
      : [];
  const { missing = [], remarks = [] } = started?.model ?? {};
  return [
    ...part,
    ...guessedInputs(analysis).map((input) => `Input ${input}`),
    ...missing.map((one) => `Not found: ${one}`),
    ...remarks,
  ];
}

function massivePart(analysis: Analysis, thresholds: Thresholds): Part {
  return {
    kind: 'table',
    heading: 'Massive and large activations',
    columns: [
      { name: 'token' },
      { name: 'index', format: 'plain' },
      { name: 'dim', format: 'plain' },
      { name: 'kind' },
      { name: 'value', format: 'value' },
      { name: '× median', format: 'ratio' },
      { name: 'layers' },
    ],
    rows: massiveActivations(analysis, thresholds).map(({ token, dim, kind, value, ratio: times, onset, last }) => {
      return [tokenName(analysis, token), token, dim, kind, value, times, `${onset}–${last}`];
    }),
  };
}

function sinkPart(analysis: Analysis, thresholds: Thresholds): Part {
  const found = sinks(analysis, thresholds);
  return {
    kind: 'table',
    heading: `Attention sinks among ${found.heads} heads`,
    columns: [
      { name: 'token' },
      { name: 'index', format: 'plain' },
      { name: 'heads', format: 'plain' },
      { name: 'share', format: 'share' },
      { name: 'strongest α' },
      { name: 'layer', format: 'plain' },
      { name: 'head', format: 'plain' },
    ],
    rows: found.sinks.map(({ token, heads, share, strongest: { alpha, layer, head } }) => {
      const name = token === undefined ? 'the extra column' : tokenName(analysis, token);
      return [name, token ?? null, heads, share, alpha, layer, head];
    }),
  };
}

function layerPart(analysis: Analysis): Part {
  return {
    kind: 'table',
    heading: 'Largest activation by layer',
    columns: [
      { name: 'layer' },
      { name: 'value', format: 'value' },
      { name: '× median', format: 'ratio' },
      { name: 'dim', format: 'plain' },
      { name: 'token', format: 'plain' },
      { name: 'median' },
      { name: 'not finite', format: 'plain' },
    ],
    rows: analysis.layers.map((layer, k) => {
      const { value, dim, token } = layer.top[0] ?? { value: null, dim: null, token: null };
      const times = value === null ? null : ratio(value, layer);
      return [layerName(k), value, times, dim, token, layer.median, layer.nonFinite];
    }),
    layers: analysis.layers.map((_, k) => k),
  };
}

function predictionParts(analysis: Analysis): Part[] {
  const { predictions, outputs } = analysis;
  if (predictions) return [predictionTable(analysis)];
  return (outputs?.outputs ?? []).map((output) => {
    const lines = outputLines(output, output.rows.length > 1 ? { most: 1 } : {});
    return {
      kind: 'table',
      heading: `Output ${outputHeading(output)}`,
      columns: [{ name: 'what' }, { name: 'token' }, { name: 'value' }, { name: 'share' }],
      rows: lines.map(({ token, label, value, share }) => {
        return [label, token === undefined ? '' : tokenName(analysis, token), value, share];
      }),
    };
  });
}

function tokenPart(analysis: Analysis): Part {
  return {
    kind: 'table',
    heading: 'Tokens',
    columns: [{ name: 'token' }, { name: 'index', format: 'plain' }, { name: 'id', format: 'plain' }],
    rows: (analysis.tokens?.tokens ?? []).map(({ id }, index) => [tokenName(analysis, index), index, id]),
  };
}
