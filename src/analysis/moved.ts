/** What moved between two runs, in words and as a table by layer. */
import { greatest } from '../statistics/numbers.js';
import { visible } from '../visible.js';
import type { Analysis } from './analysis.js';
import {
  difference,
  isUnlike,
  type Largest,
  type LayerDifference,
  type RunDifference,
  type Unlike,
} from './difference.js';
import { counted, formatNumber, formatRatio, formatShare, formatValue } from './format.js';
import { layerName, textLabel } from './label.js';
import type { MassiveActivation } from './massive.js';
import type { Presentation, TablePart } from './presentation.js';
import type { Sink } from './sinks.js';
import { tokenName } from './summary.js';
import type { Thresholds } from './thresholds.js';

/** Relative changes up to this are not told from none: what two ways of adding the same numbers differ by. */
const negligible = 1e-5;
/** Of each sort this many are named, the rest counted. */
const named = 3;
/** So many layers are named that differ most. */
const most = 3;

/**
 * What moved from `before` to `after`, two finished runs of a model on one text: a sentence, then a table by layer.
 * Without the table where they cannot be compared, and where nothing moved.
 */
export function presentMoved(before: Analysis, after: Analysis, thresholds: Thresholds): Presentation {
  const found = difference(before, after, thresholds);
  return {
    title: 'What moved',
    sentence: movedInWords(found, before, after),
    settings: [],
    warnings: [],
    parts: isUnlike(found) || !anyMoved(found) ? [] : [byLayer(found.layers)],
  };
}

/** The difference as sentences, the most telling first: `Nothing moved.` is one as well. */
export function movedInWords(found: RunDifference | Unlike, before: Analysis, after: Analysis): string {
  if (isUnlike(found)) return `This run cannot be held against the one before, because ${found.reason}.`;
  if (!anyMoved(found)) return `Nothing moved: every figure is as it was, to within ${formatShare(negligible)}.`;
  const { massive, sinks, largest, layers, next, outputs } = found;
  const stay = massive.came.length + massive.went.length + sinks.came.length + sinks.went.length === 0;
  return [
    ...listed(massive.came, 'massive activation', 'came', (one) => massiveName(one, after)),
    ...listed(massive.went, 'massive activation', 'went', (one) => massiveName(one, before)),
    ...listed(sinks.came, 'sink', 'came', (one) => sinkName(one, after)),
    ...listed(sinks.went, 'sink', 'went', (one) => sinkName(one, before)),
    ...(stay ? ['No massive activation and no sink came or went.'] : []),
    ...nonFinite(layers),
    ...largestInWords(largest.before, largest.after, after),
    ...nextInWords(next),
    ...outputsInWords(outputs),
    ...layersInWords(layers),
  ].join(' ');
}

function listed<T>(all: readonly T[], what: string, verb: string, name: (one: T) => string): string[] {
  if (all.length === 0) return [];
  const more = all.length > named ? ` and ${all.length - named} more` : '';
  return [`${counted(all.length, what)} ${verb}: ${all.slice(0, named).map(name).join('; ')}${more}.`];
}

const massiveName = ({ dim, token, value, ratio, layer }: MassiveActivation, run: Analysis) =>
  `dim ${dim} on ${tokenName(run, token)}, ${formatValue(value)} = ${formatRatio(ratio)} the median at layer ${layer}`;

const sinkName = ({ token, heads }: Sink, run: Analysis) =>
  `${token === undefined ? 'the extra column' : tokenName(run, token)} in ${counted(heads, 'head')}`;

function nonFinite(layers: readonly LayerDifference[]): string[] {
  const other = layers.find((one) => one.nonFinite.before !== one.nonFinite.after);
  if (!other) return [];
  const { before, after } = other.nonFinite;
  return [
    `Entries that are NaN or infinite at layer ${other.layer}: ${formatNumber(after)}, before ${formatNumber(before)}.`,
  ];
}

function largestInWords(before: Largest | undefined, after: Largest | undefined, run: Analysis): string[] {
  if (!before || !after || isNear(before.ratio, after.ratio)) return [];
  const place = (one: Largest) => `${one.layer} ${one.token} ${one.dim}`;
  const where =
    place(before) === place(after)
      ? ''
      : `, now dim ${after.dim} on ${tokenName(run, after.token)} at layer ${after.layer}`;
  return [`Largest ratio ${formatRatio(before.ratio)} → ${formatRatio(after.ratio)} the median${where}.`];
}

function nextInWords(next: RunDifference['next']): string[] {
  if (!next) return [];
  const { before, after, kld } = next;
  const same = before.id === after.id;
  if (same && isNear(before.probability, after.probability) && kld < negligible) return [];
  const said = ({ text, id, probability }: typeof before) => `“${textLabel(text, id)}” (${formatShare(probability)})`;
  const apart = kld < negligible ? '' : `; KL divergence at least ${formatNumber(kld)} nats`;
  return [
    same
      ? `The most likely next token stays “${textLabel(after.text, after.id)}”, ${formatShare(before.probability)} → ${formatShare(after.probability)}${apart}.`
      : `The most likely next token was ${said(before)} and is ${said(after)}${apart}.`,
  ];
}

function outputsInWords(outputs: RunDifference['outputs']): string[] {
  return outputs.flatMap(({ name, change, first }) => {
    if (change <= negligible && !first) return [];
    const now = first ? `: first comes ${visible(first.after)} now, before it was ${visible(first.before)}` : '';
    return [
      `The output ${visible(name)} moved by ${Number.isNaN(change) ? 'what is no number' : formatShare(change)}${now}.`,
    ];
  });
}

/** The greatest relative change of a layer's figures; more than any where one is no number. */
function changeOf({ tokens, dims, median }: LayerDifference): number {
  const one = greatest([tokens, dims, relative(median.before, median.after)]);
  return Number.isNaN(one) ? Number.POSITIVE_INFINITY : one;
}

function layersInWords(layers: readonly LayerDifference[]): string[] {
  const moved = layers.filter((one) => changeOf(one) > negligible);
  if (moved.length === 0) return ['No layer’s sizes moved.'];
  const ranked = moved.toSorted((a, b) => changeOf(b) - changeOf(a)).slice(0, most);
  const names = ranked.map((one) => {
    const change = changeOf(one);
    return `${layerName(one.layer)} (${Number.isFinite(change) ? formatShare(change) : 'no numbers'})`;
  });
  const [first] = moved;
  const from = first && moved.length < layers.length ? `, the first is ${layerName(first.layer)}` : '';
  return [`Sizes moved in ${moved.length} of ${layers.length} layers${from}; most in ${names.join(', ')}.`];
}

function anyMoved({ massive, sinks, layers, next, outputs }: RunDifference): boolean {
  const lists = [massive.came, massive.went, sinks.came, sinks.went];
  return (
    lists.some(({ length }) => length > 0) ||
    layers.some((one) => changeOf(one) > negligible || (one.alpha ?? 0) > negligible) ||
    layers.some(({ nonFinite: { before, after } }) => before !== after) ||
    nextInWords(next).length > 0 ||
    outputsInWords(outputs).length > 0
  );
}

const isNear = (a: number, b: number) => a === b || relative(a, b) <= negligible;
const relative = (before: number, after: number) =>
  before === after ? 0 : Math.abs(after - before) / Math.abs(before);

function byLayer(layers: readonly LayerDifference[]): TablePart {
  const changes = layers.flatMap(({ tokens, dims }) => [tokens, dims]).filter(Number.isFinite);
  const range = [0, greatest(changes, 0)] as const;
  return {
    kind: 'table',
    heading: 'What moved, by layer',
    columns: [
      { name: 'layer' },
      { name: 'norms of tokens', format: 'share', range },
      { name: 'largest of dims', format: 'share', range },
      { name: 'α', format: 'number' },
      { name: 'median before' },
      { name: 'now' },
      { name: 'largest before', format: 'value' },
      { name: 'now', format: 'value' },
      { name: '÷ median before', format: 'ratio' },
      { name: 'now', format: 'ratio' },
    ],
    rows: layers.map(({ layer, tokens, dims, alpha, median, largest, ratio }) => [
      layerName(layer),
      tokens,
      dims,
      alpha ?? null,
      median.before,
      median.after,
      largest.before,
      largest.after,
      ratio.before,
      ratio.after,
    ]),
    layers: layers.map(({ layer }) => layer),
  };
}
