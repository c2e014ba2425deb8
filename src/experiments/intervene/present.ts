import type { Analysis } from '../../analysis/analysis.js';
import { layerName, textLabel, tokenLabel } from '../../analysis/label.js';
import type { HeatmapPart, Presentation, TablePart } from '../../analysis/presentation.js';
import { points, type Setting, settingProblem } from '../../engine/contract/interventions.js';
import { SinkscopeError } from '../../errors.js';
import { experiment } from '../before/experiment.js';
import { byHead, logRatio } from '../shared/heatmaps.js';
import { presented } from '../shared/rows.js';
import { factsOf } from '../shared/run.js';
import { type Change, dimsByDefault } from '../shared/selectors.js';
import { calibrationSetting, massiveSettings, partWarnings, runSettings, sinkSettings } from '../shared/settings.js';
import { indices, wordOr } from '../shared/words.js';
import { conclusion, type InterveneResult, intervene } from './compute.js';

/** Interventions that are spelt out; the rest is counted. */
const named = 4;

export function presentIntervene(result: InterveneResult, texts: { text: string; calibration?: string }): Presentation {
  const { before, after, interventions, calibrated, thresholds, sinks } = result;
  const facts = factsOf(before);
  const labels = before.tokens?.tokens.map(tokenLabel) ?? [];
  const layers = before.layers.map((_, k) => layerName(k));
  const axes = { rows: { name: 'layer', labels: layers }, columns: { name: 'token', labels } };
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
  const heads = Math.max(0, ...before.attention.map((statistics) => statistics?.heads ?? 0));
  return {
    title: 'Intervene',
    sentence: conclusion(result),
    settings: [
      ...runSettings(facts),
      { name: 'text', value: texts.text },
      ...interventions.slice(0, named).map((one) => ({ name: 'set', value: inWords(one) })),
      ...(interventions.length > named ? [{ name: 'and', value: `${interventions.length - named} more` }] : []),
      ...(texts.calibration === undefined || calibrated === 0
        ? []
        : [calibrationSetting(texts.calibration, calibrated)]),
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
        values: is.flatMap((row, i) => Array.from(row, (value, token) => logRatio(value, was[i][token]))),
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
      const values = typeof set.value === 'number' ? [set.value] : set.value;
      const words = values.slice(0, named).map((value) => value.toPrecision(4));
      return words.join(', ') + (values.length > named ? ' …' : '');
    }
    case 'scale':
      return `× ${set.by}`;
    case 'noise':
      return `+ noise of deviation ${set.deviation}, seed ${set.seed}`;
  }
}

const settings = ['zero', 'mean', 'value', 'scale', 'noise'] as const;

export const interveneExperiment = experiment({
  id: 'intervene',
  title: 'Intervene',
  description: 'One text as it is and with activations set to something else, side by side.',
  inputs: {
    text: { kind: 'text', label: 'Text' },
    set: { kind: 'choice', label: 'Set to', choices: settings },
    amount: { kind: 'number', label: 'Value, factor or deviation', open: 'not needed' },
    seed: { kind: 'whole', label: 'Seed (of noise)', least: 0, default: 0 },
    tokens: { kind: 'words', label: 'Tokens', default: 'massive' },
    dims: { kind: 'words', label: 'Dims', open: 'massive; of mlp all' },
    block: { kind: 'words', label: 'Block', default: 'onset' },
    point: { kind: 'choice', label: 'Point', choices: ['resid_post', ...points.filter((one) => one !== 'resid_post')] },
    calibration: { kind: 'text', label: 'Calibration text (for means)', optional: true },
  },
  steps({ engine, ...setup }, { text, calibration, ...words }, signal) {
    const request = { ...setup, prompt: { text: text.text }, window: 'first', change: changeOf(words) } as const;
    const used = words.set === 'mean' ? calibration : undefined;
    return presented(intervene(engine, { ...request, calibration: used?.text }, signal), (result) =>
      presentIntervene(result, { text: text.name, calibration: used?.name }),
    );
  },
});

interface Words extends Readonly<Record<'set' | 'tokens' | 'block' | 'point', string>> {
  readonly dims: string | undefined;
  readonly amount: number | undefined;
  readonly seed: number;
}

function changeOf({ set, amount, seed, tokens, block, ...words }: Words): Change {
  const point = points.find((one) => one === words.point) ?? 'resid_post';
  const dims = words.dims ?? dimsByDefault(point);
  return {
    point,
    block: wordOr(block, ['onset', 'every'], () => indices('Block', block)[0]),
    tokens: wordOr(tokens, ['all', 'first', 'massive', 'sink'], () => indices('Tokens', tokens)),
    dims: wordOr(dims, ['all', 'massive'], () => indices('Dims', dims)),
    set: settingOf(set, amount, seed),
  };
}

function settingOf(set: string, amount: number | undefined, seed: number): Change['set'] {
  if (set === 'mean') return { to: 'mean' };
  if (set === 'zero') return { to: 'zero' };
  if (amount === undefined) {
    throw new SinkscopeError({ code: 'input', message: `To set activations to a ${set}, give its number.` });
  }
  const setting = numberSetting(set, amount, seed);
  const problem = settingProblem(setting);
  if (problem === undefined) return setting;
  throw new SinkscopeError({ code: 'input', message: `Value, factor or deviation: ${problem}.` });
}

function numberSetting(set: string, amount: number, seed: number): Setting {
  if (set === 'scale') return { to: 'scale', by: amount };
  return set === 'noise' ? { to: 'noise', deviation: amount, seed } : { to: 'value', value: amount };
}
