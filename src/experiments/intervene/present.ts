import type { Analysis } from '../../analysis/analysis.js';
import { textLabel, tokenLabels } from '../../analysis/label.js';
import type { HeatmapPart, Presentation, TablePart } from '../../analysis/presentation.js';
import { greatest } from '../../statistics/numbers.js';
import { byHead, byLayer, byToken, logRatio } from '../shared/heatmaps.js';
import { factsOf } from '../shared/run.js';
import { calibrationSetting, massiveSettings, partWarnings, runSettings, sinkSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type InterveneResult, interveneConclusion } from './compute.js';

/** Interventions that are spelt out; the rest is counted. */
const named = 4;

export function presentIntervene(
  result: InterveneResult,
  texts: { readonly text: Pick<NamedText, 'name'>; readonly calibration?: NamedText },
): Presentation {
  const { before, after, interventions, calibrated, thresholds, sinks } = result;
  const facts = factsOf(before);
  const labels = before.tokens ? tokenLabels(before.tokens) : [];
  const axes = { rows: byLayer(before.layers.map((_, k) => k)), columns: byToken(labels) };
  const magnitudes = (analysis: Analysis) => analysis.layers.map(({ tokenMax }) => tokenMax);
  const [was, is] = [magnitudes(before), magnitudes(after)];
  const sizes = [...was, ...is].flatMap((row) => Array.from(row)).filter((size) => size > 0 && Number.isFinite(size));
  const range: HeatmapPart['range'] = [
    sizes.reduce((least, size) => Math.min(least, size), Number.POSITIVE_INFINITY),
    sizes.reduce((most, size) => Math.max(most, size), 0),
  ];
  const heatmap = (heading: string, values: readonly Float32Array[]): HeatmapPart => ({
    kind: 'heatmap',
    heading,
    ...axes,
    value: { name: 'largest |h|' },
    scale: 'log',
    range: sizes.length > 0 ? range : undefined,
    values: values.flatMap((row) => Array.from(row)),
  });
  const heads = greatest(
    before.attention.map((statistics) => statistics?.heads ?? 0),
    0,
  );
  return {
    title: 'Intervene',
    sentence: interveneConclusion(result),
    settings: [
      ...runSettings(facts),
      { name: 'text', value: texts.text.name },
      ...interventions.slice(0, named).map((one) => ({ name: 'set', value: inWords(one) })),
      ...(interventions.length > named ? [{ name: 'and', value: `${interventions.length - named} more` }] : []),
      ...(texts.calibration === undefined || calibrated === 0
        ? []
        : [calibrationSetting(texts.calibration.name, calibrated)]),
      ...massiveSettings(thresholds),
      ...sinkSettings(thresholds),
    ],
    warnings: [...result.warnings, ...partWarnings(facts)],
    parts: [
      {
        kind: 'heatmap',
        heading: 'Difference: layer × token',
        ...axes,
        value: { name: 'log₁₀ of largest |h| after ÷ before', format: 'signed' },
        scale: 'diverging',
        values: is.flatMap((row, i) => Array.from(row, (value, token) => logRatio(value, was[i]?.[token] ?? 0))),
      },
      heatmap('Before: layer × token', was),
      heatmap('After: layer × token', is),
      predictions(before, after),
      {
        kind: 'table',
        heading: 'Sinks',
        columns: [{ name: 'rate' }, { name: 'before', format: 'share' }, { name: 'after', format: 'share' }],
        rows: [
          ['sink rate, first token', sinks.before.rate ?? null, sinks.after.rate ?? null],
          ...(sinks.before.extraRate === undefined
            ? []
            : [['sink rate, extra column', sinks.before.extraRate, sinks.after.extraRate ?? null]]),
        ],
      },
      {
        heading: 'Attention on the first token: after minus before',
        ...byHead(
          before.attention.map((_, i) => i + 1),
          heads,
          (block, head) => {
            const [old, now] = [alpha(before, block, head), alpha(after, block, head)];
            return old === undefined || now === undefined ? null : now - old;
          },
        ),
        value: { name: 'difference in α', format: 'signed' },
        scale: 'diverging',
      },
    ],
  };
}

const alpha = ({ attention }: Analysis, block: number, head: number) => {
  const statistics = attention[block];
  return statistics?.alpha[head * statistics.tokens];
};

function predictions(before: Analysis, after: Analysis): TablePart {
  const [old, now] = [before.predictions?.top ?? [], after.predictions?.top ?? []];
  return {
    kind: 'table',
    heading: 'Predictions after the last token',
    columns: [
      { name: 'rank' },
      { name: 'before' },
      { name: 'probability', format: 'share' },
      { name: 'after' },
      { name: 'probability', format: 'share' },
    ],
    rows: old.map(({ text, probability }, rank) => {
      const other = now[rank];
      return [
        `${rank + 1}.`,
        textLabel(text),
        probability,
        other ? textLabel(other.text) : null,
        other?.probability ?? null,
      ];
    }),
  };
}

function inWords({ point, block, tokens, dims, set }: InterveneResult['interventions'][number]): string {
  const list = (chosen: typeof dims) => {
    if (chosen === 'all') return 'all';
    if (!('length' in chosen)) return `all but ${chosen.except.join(', ')}`;
    return chosen.length > named ? `${chosen.slice(0, named).join(', ')} …` : chosen.join(', ');
  };
  return `${point} of block ${block}, token ${list(tokens)}, dim ${list(dims)} → ${settingInWords(set)}`;
}

function settingInWords(set: InterveneResult['interventions'][number]['set']): string {
  switch (set.to) {
    case 'zero':
      return '0';
    case 'value': {
      const values = typeof set.value === 'number' ? [set.value] : Array.from(set.value);
      const words = values.slice(0, named).map((value) => value.toPrecision(4));
      return words.join(', ') + (values.length > named ? ' …' : '');
    }
    case 'add':
      return '+ a direction';
    case 'project-out':
      return 'without its part along a direction';
    case 'scale':
      return `× ${set.by}`;
    case 'noise':
      return `+ noise of deviation ${set.deviation}, seed ${set.seed}`;
  }
}
