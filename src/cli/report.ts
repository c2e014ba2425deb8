import type { Analysis } from '../analysis/analysis.js';
import { chatOf, deviceOf, missingParts, partRun } from '../analysis/conditions.js';
import { expertsOfEntry, loadOf, massiveByExpert } from '../analysis/experts.js';
import { counted, formatNumber, formatRatio, formatSeconds, formatShare, formatValue } from '../analysis/format.js';
import { massiveActivations, ratio } from '../analysis/massive.js';
import { guessedInputs, outputHeading, outputLines } from '../analysis/outputs.js';
import { sinks } from '../analysis/sinks.js';
import { summary, tokenName } from '../analysis/summary.js';
import type { Thresholds } from '../analysis/thresholds.js';
import { columns, section } from './table.js';
import type { Line } from './terminal.js';

/** The finished analysis for a terminal: the summary in words, then the tables behind it. */
export function report(analysis: Analysis, thresholds: Thresholds): Line[] {
  return [
    ...heading(analysis),
    '',
    summary(analysis, thresholds),
    ...layerTable(analysis),
    ...massiveTable(analysis, thresholds),
    ...sinkTable(analysis, thresholds),
    ...crossTable(analysis),
    ...expertTables(analysis, thresholds),
    ...predictionTable(analysis),
    ...outputTables(analysis),
    ...notes(analysis),
  ];
}

/** What a changed run gives beside the plain one. */
export function against(plain: Analysis, changed: Analysis, thresholds: Thresholds): string[] {
  const rate = (analysis: Analysis) => {
    const share = sinks(analysis, thresholds).rate;
    return share === undefined ? '–' : formatShare(share);
  };
  const next = (analysis: Analysis) =>
    (analysis.predictions?.top ?? [])
      .slice(0, 3)
      .map(({ text, probability }) => `${JSON.stringify(text)} ${formatShare(probability)}`)
      .join(', ') || '–';
  const layers = plain.layers.map(({ top: [was] }, layer) => {
    const now = changed.layers[layer]?.top[0];
    return [
      `largest of h_${layer}`,
      was ? `${formatValue(was.value)} (token ${was.token}, dim ${was.dim})` : '–',
      now ? `${formatValue(now.value)} (token ${now.token}, dim ${now.dim})` : '–',
    ];
  });
  const rows = [
    ...layers,
    [`heads with α > ${thresholds.epsilon} on the first token`, rate(plain), rate(changed)],
    ['next token', next(plain), next(changed)],
  ];
  return section('Against the run as it is', columns(['', 'as is'], 'changed', rows));
}

function heading(analysis: Analysis): string[] {
  const { started, tokens, finished } = analysis;
  const { model, settings } = started ?? {};
  const run = tokens?.tokens.length;
  const shown = [
    model?.name,
    model && model.streams.length > 1 && `stream ${model.stream}`,
    model && `${model.layers} layers × ${model.hidden} dimensions`,
    run !== undefined && counted(run, 'token'),
    settings?.bos !== undefined && (settings.bos ? 'with BOS' : 'without BOS'),
    ...chatOf(settings),
    finished && formatSeconds(finished.seconds),
  ];
  const line = shown.filter((part) => part).join(' · ');
  const lines = [line, ...deviceOf(analysis).map((why) => `${why}.`)];
  const part = tokens && partRun(tokens);
  return part === undefined ? lines : [...lines, `Only ${part} were run.`];
}

function layerTable(analysis: Analysis): string[] {
  const rows = analysis.layers.map((statistics, layer) => {
    const [first] = statistics.top;
    return first
      ? [
          `${layer}`,
          formatValue(first.value),
          `${first.dim}`,
          formatNumber(statistics.median),
          formatRatio(ratio(first.value, statistics)),
          tokenName(analysis, first.token),
        ]
      : [`${layer}`, '–', '', '', '', ''];
  });
  return section('Largest activation by layer', columns(['layer', 'value', 'dim', 'median', 'ratio'], 'token', rows));
}

function massiveTable(analysis: Analysis, thresholds: Thresholds): string[] {
  const rows = massiveActivations(analysis, thresholds).map((activation) => [
    activation.kind,
    `${activation.dim}`,
    formatValue(activation.value),
    formatRatio(activation.ratio),
    `${activation.onset}–${activation.last}`,
    tokenName(analysis, activation.token),
  ]);
  const { absolute, ratio: times, soft } = thresholds;
  const definition = `massive: |h| > ${formatNumber(absolute)} and ≥ ${formatRatio(times)} median; large: ≥ ${formatRatio(soft)} median`;
  return section(
    `Massive activations (${definition})`,
    columns(['kind', 'dim', 'value', 'ratio', 'layers'], 'token', rows),
  );
}

function sinkTable(analysis: Analysis, thresholds: Thresholds): string[] {
  const { tokens, epsilon, heads, sinks: found } = sinks(analysis, thresholds);
  const rows = found.map(({ token, heads: drawn, share, strongest }) => [
    `${drawn} of ${heads}`,
    formatShare(share),
    `${formatNumber(strongest.alpha)} at layer ${strongest.layer} head ${strongest.head}`,
    token === undefined ? 'the extra column' : tokenName(analysis, token),
  ]);
  return section(
    `Attention sinks (α > ${epsilon}, T = ${formatNumber(tokens)})`,
    columns(['heads', 'share', 'strongest α'], 'token', rows),
  );
}

/** By layer the head that gives one position most, which is none of the stream's tokens. */
function crossTable(analysis: Analysis): string[] {
  const rows = Array.from(analysis.cross).flatMap((cross, i) => {
    if (!cross) return [];
    const at = strongest(cross.alpha);
    const [head, position] = [Math.floor(at / cross.positions), at % cross.positions];
    return [
      [
        `${i + 1}`,
        `${cross.heads}`,
        formatNumber(cross.alpha[at] ?? Number.NaN),
        `${head}`,
        `${position} of ${cross.positions}`,
      ],
    ];
  });
  return section(
    'Attention to other states (α: mean weight on one of their positions; no sinks of this stream)',
    columns(['layer', 'heads', 'strongest α', 'head'], 'position', rows),
  );
}

const strongest = (values: Float32Array) =>
  values.reduce((best, value, i) => (value > (values[best] ?? 0) ? i : best), 0);
function expertTables(analysis: Analysis, thresholds: Thresholds): string[] {
  const rows = Array.from(analysis.routing, (found, index) => {
    if (!found) return undefined;
    if ('why' in found) return [`${index + 1}`, 'not known', '', '', found.why];
    const load = [...loadOf(found).entries()].toSorted((a, b) => b[1] - a[1]);
    const shares = load.slice(0, shownExperts).map(([expert, share]) => `${expert}: ${formatShare(share)}`);
    const massive = massiveByExpert(analysis, thresholds, index + 1).slice(0, shownExperts);
    const carried = massive.map(({ expert, tokens }) => `${expert} (${tokens.length} tokens)`);
    const unused = load.filter(([, share]) => share === 0).length;
    return [`${index + 1}`, `${found.chosen} of ${found.experts}`, `${unused}`, carried.join(', '), shares.join(', ')];
  }).filter((row) => row !== undefined);
  if (rows.length === 0) return [];
  const heads = ['block', 'chosen', 'unused', 'experts of tokens whose massive activations arise there'];
  return [
    ...section('Experts', columns(heads, 'share of tokens, the most used first', rows)),
    ...section('Experts of massive activations', massiveExperts(analysis, thresholds)),
  ];
}

/** Of each block this many experts are named: the JSON has all. */
const shownExperts = 4;

function massiveExperts(analysis: Analysis, thresholds: Thresholds): string[] {
  const rows = massiveActivations(analysis, thresholds).flatMap(({ kind, dim, token, onset }) => {
    const experts = expertsOfEntry(analysis, { token, dim }, onset);
    if (!experts) return [];
    const named = experts.map(({ expert, weight, made }) => {
      const added = made === undefined ? '' : `, made ${formatValue(made)}`;
      return `${expert} (${formatNumber(weight)}${added})`;
    });
    return [[kind, `${dim}`, `${onset}`, named.join(', '), tokenName(analysis, token)]];
  });
  return rows.length === 0 ? [] : columns(['kind', 'dim', 'arises in block', 'sent to'], 'token', rows);
}

function predictionTable(analysis: Analysis): string[] {
  const { predictions } = analysis;
  if (!predictions) return [];
  const rows = predictions.top.map(({ id, text, probability }) => [
    formatShare(probability),
    `${id}`,
    JSON.stringify(text),
  ]);
  const after = tokenName(analysis, predictions.token);
  return section(`Next token after ${after}`, columns(['probability', 'id'], 'token', rows));
}

/** Tokens of which the output is shown; all are in the JSON. */
const shownTokens = 20;

function outputTables(analysis: Analysis): string[] {
  return (analysis.outputs?.outputs ?? []).flatMap((output) => {
    const perToken = output.rows.length > 1;
    const lines = outputLines(output, perToken ? { most: 1 } : {});
    const rows = lines.slice(0, shownTokens).map(({ token, label, value, share }) => {
      const name = token === undefined ? '' : tokenName(analysis, token);
      return [share, value, output.kind === 'places' ? name : perToken ? `${label} of ${name}` : label];
    });
    const left = lines.length - rows.length;
    const more = left > 0 ? [`  and ${left} more`] : [];
    const body =
      rows.length > 0 ? [...columns(['share', 'value'], 'what', rows), ...more] : [`  [${output.shape.join(', ')}]`];
    return section(`Output ${outputHeading(output)}`, body);
  });
}

function notes(analysis: Analysis): string[] {
  const { started, finished } = analysis;
  const guessed = guessedInputs(analysis).map((input) => `Input ${input}`);
  const missing = missingParts(analysis).map((part) => `Not found: ${part}`);
  const remarks = started?.model.remarks.map((remark) => `Note: ${remark}`) ?? [];
  const saved = finished?.saved === undefined ? [] : [`Saved: ${finished.saved}`];
  const all = [...guessed, ...missing, ...remarks, ...saved];
  return all.length > 0 ? ['', ...all] : [];
}
