/** What moved between two runs, in words, as heatmaps of the differences, and as tables. */
import { greatest } from '../statistics/numbers.js';
import { visible } from '../visible.js';
import type { Analysis } from './analysis.js';
import { madeBy } from './conditions.js';
import { alphaChange, difference, type Largest, type LayerDifference, type RunDifference } from './difference.js';
import { counted, formatNumber, formatRatio, formatShare, formatValue } from './format.js';
import { layerName, quotedText, tokenLabels } from './label.js';
import { type MassiveActivation, ratio } from './massive.js';
import {
  finiteCell,
  type HeatmapPart,
  type LinesPart,
  type Presentation,
  type Setting,
  type TablePart,
} from './presentation.js';
import type { Sink } from './sinks.js';
import { tokenName } from './summary.js';
import type { Thresholds } from './thresholds.js';

/** Relative changes up to this are not told from none: what two ways of adding the same numbers differ by. */
const negligible = 1e-5;

/**
 * What moved from `before` to `after`, two finished runs: a sentence; by layer and token and by layer and head, how far
 * numbers went up or down; what massive activations and sinks there are; a table by layer. Without parts where nothing
 * moved. What only one of them has, tokens or layers, is compared with nothing, which is said.
 */
export function presentMoved(before: Analysis, after: Analysis, thresholds: Thresholds): Presentation {
  const found = difference(before, after, thresholds);
  const { layers } = found;
  return {
    title: 'What moved',
    sentence: movedInWords(found, before, after),
    settings: [
      { name: 'before:', value: madeBy(before) },
      { name: 'now:', value: madeBy(after) },
      ...tokensInBoth(found),
    ],
    warnings: [...unlikeLayers(found), ...unlikeLengths(found), ...untoldSinks(found, before, after)],
    parts: anyMoved(found)
      ? [
          ...(layers.length > 0 ? byToken(found, before, after) : [profiles(before, after)]),
          ...byHead(found, after),
          ...standing(found, before, after),
          ...(layers.length > 0 ? [byLayer(layers)] : []),
        ]
      : [],
  };
}

/** How many tokens can be compared, where that is not all. */
function tokensInBoth({ pairs, tokens: { before, after } }: RunDifference): Setting[] {
  if (pairs.length === before && pairs.length === after) return [];
  const of = before === after ? formatNumber(after) : `${formatNumber(before)} before and ${formatNumber(after)} now`;
  return [{ name: 'tokens in both texts:', value: `${formatNumber(pairs.length)} of ${of}` }];
}

function unlikeLayers({ shapes }: RunDifference): string[] {
  return shapes ? [`The models have ${shapes.before} and ${shapes.after}: nothing is compared layer by layer.`] : [];
}

function unlikeLengths({ tokens: { before, after }, layers }: RunDifference): string[] {
  const hasHeads = layers.some(({ heads }) => heads !== undefined);
  return before !== after && hasHeads
    ? ['α is a mean over the tokens that can see one, and falls with their number: the texts are not equally long.']
    : [];
}

/** Why no sink can have come or gone, where one of the runs tells of none. */
function untoldSinks({ sinksUntold, tokens }: RunDifference, before: Analysis, after: Analysis): string[] {
  const hasPatterns = ({ attention }: Analysis) => attention.some((one) => one !== undefined);
  const why = (run: Analysis, count: number) =>
    hasPatterns(run) ? `too short for them (T = ${formatNumber(count)})` : 'without attention patterns';
  const reasons = [
    ...(sinksUntold.before ? [`the run before is ${why(before, tokens.before)}`] : []),
    ...(sinksUntold.after ? [`the run now is ${why(after, tokens.after)}`] : []),
  ];
  // Where neither has patterns there is nothing to be missed.
  const isMissed = [before, after].some(hasPatterns);
  return isMissed && reasons.length > 0 ? [`Sinks are not compared: ${reasons.join(', and ')}.`] : [];
}

/** The difference as sentences, the most telling first: `Nothing moved.` is one as well. Tables name all of what these name one of. */
export function movedInWords(found: RunDifference, before: Analysis, after: Analysis): string {
  if (!anyMoved(found)) return `Nothing moved: every figure is as it was, to within ${formatShare(negligible)}.`;
  const { massive, sinks, largest, layers, next, outputs } = found;
  const isUntold = found.sinksUntold.before || found.sinksUntold.after;
  const stay = massive.came.length + massive.went.length + sinks.came.length + sinks.went.length === 0;
  return [
    ...listed(massive.came, 'massive activation', 'came', (one) => massiveName(one, after)),
    ...listed(massive.went, 'massive activation', 'went', (one) => massiveName(one, before)),
    ...listed(sinks.came, 'sink', 'came', (one) => sinkName(one, after)),
    ...listed(sinks.went, 'sink', 'went', (one) => sinkName(one, before)),
    ...(stay ? [`No massive activation${isUntold ? '' : ' and no sink'} came or went.`] : []),
    ...nonFinite(layers),
    ...largestInWords(largest.before, largest.after, after),
    ...nextInWords(next),
    ...outputsInWords(outputs),
    ...(found.shapes ? [] : layersInWords(found)),
  ].join(' ');
}

function listed<T>(all: readonly T[], what: string, verb: string, name: (one: T) => string): string[] {
  const [first, ...others] = all;
  if (first === undefined) return [];
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return [`${counted(all.length, what)} ${verb}: ${name(first)}${more}.`];
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
  const same = before.id === after.id && before.text === after.text;
  if (same && isNear(before.probability, after.probability) && kld < negligible) return [];
  const said = ({ text, id, probability }: typeof before) => `${quotedText(text, id)} (${formatShare(probability)})`;
  const apart = kld < negligible ? '' : `; KL divergence at least ${formatNumber(kld)} nats`;
  return [
    same
      ? `The most likely next token stays ${quotedText(after.text, after.id)}, ${formatShare(before.probability)} → ${formatShare(after.probability)}${apart}.`
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
  return orMost(greatest([tokens, dims, relative(median.before, median.after)]));
}

const orMost = (change: number) => (Number.isNaN(change) ? Number.POSITIVE_INFINITY : change);

/** Of unlike texts the tokens that both have alone: what only one of them has is nothing that moved. */
function layersInWords({ layers, pairs, tokens }: RunDifference): string[] {
  if (pairs.length === 0) return ['No token is in both texts, so sizes are not compared.'];
  const isAlike = pairs.length === Math.max(tokens.before, tokens.after);
  const ranked = layers
    .map((one) => ({ name: layerName(one.layer), change: isAlike ? changeOf(one) : orMost(one.tokens) }))
    .filter(({ change }) => change > negligible);
  const sizes = isAlike ? 'Sizes' : 'Norms of the tokens in both texts';
  const [first] = ranked;
  if (!first) return [isAlike ? 'No layer’s sizes moved.' : `${sizes} moved in no layer.`];
  const { name, change } = ranked.reduce((most, one) => (one.change > most.change ? one : most), first);
  const from = ranked.length < layers.length ? `, the first is ${first.name}` : '';
  const by = Number.isFinite(change) ? formatShare(change) : 'no numbers';
  return [`${sizes} moved in ${ranked.length} of ${layers.length} layers${from}; most in ${name} (${by}).`];
}

function anyMoved({ pairs, tokens, shapes, massive, sinks, layers, next, outputs }: RunDifference): boolean {
  const lists = [massive.came, massive.went, sinks.came, sinks.went];
  const isOther = shapes !== undefined || pairs.length < Math.max(tokens.before, tokens.after);
  return (
    isOther ||
    lists.some(({ length }) => length > 0) ||
    layers.some((one) => changeOf(one) > negligible || (alphaChange(one) ?? 0) > negligible) ||
    layers.some(({ nonFinite: { before, after } }) => before !== after) ||
    nextInWords(next).length > 0 ||
    outputsInWords(outputs).length > 0
  );
}

const isNear = (a: number, b: number) => a === b || relative(a, b) <= negligible;
const relative = (before: number, after: number) =>
  before === after ? 0 : Math.abs(after - before) / Math.abs(before);

/** How many doublings each token's largest |h| went up, or down: what does not depend on the other tokens. */
function byToken({ pairs }: RunDifference, before: Analysis, after: Analysis): HeatmapPart[] {
  if (pairs.length === 0) return [];
  const labels = after.tokens ? tokenLabels(after.tokens) : [];
  const most = ({ layers }: Analysis, k: number, token: number) => layers[k]?.tokenMax[token] ?? Number.NaN;
  const rows = after.layers.map((_, k) => k);
  const values = rows.flatMap((k) =>
    pairs.map(([old, now]) => finiteCell(Math.log2(most(after, k, now) / most(before, k, old)))),
  );
  // Twice as much has a colour of its own, and what is next to nothing has none.
  const far = values.reduce<number>((most, one) => Math.max(most, Math.abs(one ?? 0)), 1);
  return [
    {
      kind: 'heatmap',
      heading: 'Residual stream: what moved, layer × token',
      rows: { name: 'layer', labels: rows.map(layerName), leads: { to: 'layer', values: rows } },
      columns: {
        name: 'token',
        labels: pairs.map(([, now]) => `${labels[now] ?? now}`),
        leads: { to: 'token', values: pairs.map(([, now]) => now) },
      },
      value: { name: 'doublings of max |h|', format: 'signed' },
      scale: 'diverging',
      range: [-far, far],
      values,
    },
  ];
}

/** By head, α′ − α of the token for which that is most. */
function byHead({ layers }: RunDifference, after: Analysis): HeatmapPart[] {
  const heads = greatest(
    layers.map((one) => one.heads?.length ?? 0),
    0,
  );
  if (heads === 0) return [];
  const each = Array.from({ length: heads }, (_, head) => head);
  const blocks = layers.slice(1);
  const changes = blocks.flatMap((one) => each.map((head) => one.heads?.[head]));
  const name = (token: number | undefined) => (token === undefined ? 'the extra column' : tokenName(after, token));
  return [
    {
      kind: 'heatmap',
      heading: 'Attention: what moved, layer × head',
      rows: {
        name: 'layer',
        labels: blocks.map(({ layer }) => `${layer}`),
        leads: { to: 'layer', values: blocks.map(({ layer }) => layer) },
      },
      columns: { name: 'head', labels: each.map(String), leads: { to: 'head', values: each } },
      value: { name: 'change of α, of the token where it is most', format: 'signed' },
      scale: 'diverging',
      range: [-1, 1],
      values: changes.map((one) => finiteCell(one?.change)),
      notes: changes.map((one) => (one ? `α of ${name(one.token)}` : '')),
    },
  ];
}

/** The largest entry by layer, of models whose layers cannot be compared one by one. */
function profiles(before: Analysis, after: Analysis): LinesPart {
  const most = ({ layers }: Analysis) => layers.map((state) => ratio(state.top[0]?.value ?? 0, state));
  const [old, now] = [most(before), most(after)];
  const values = Array.from({ length: Math.max(old.length, now.length) }, (_, k) => k);
  const line = (name: string, ratios: readonly number[]) => ({
    name,
    values: values.map((k) => finiteCell(ratios[k])),
  });
  return {
    kind: 'lines',
    heading: 'Largest entry by layer',
    x: { name: 'layer', values },
    y: { name: '|h| ÷ median', format: 'ratio', log: true },
    lines: [line('before', old), line('now', now)],
  };
}

/** What came and went, all of it. */
function standing({ massive, sinks }: RunDifference, before: Analysis, after: Analysis): TablePart[] {
  const rows = [
    ...massive.went.map((one) => ['massive activation', massiveName(one, before), 'went']),
    ...massive.came.map((one) => ['massive activation', massiveName(one, after), 'came']),
    ...sinks.went.map((one) => ['sink', sinkName(one, before), 'went']),
    ...sinks.came.map((one) => ['sink', sinkName(one, after), 'came']),
  ];
  if (rows.length === 0) return [];
  const columns = ['kind', 'which', 'came or went'].map((name) => ({ name, format: 'words' as const }));
  return [{ kind: 'table', heading: 'What came and went', columns, rows }];
}

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
    rows: layers.map((one) => [
      layerName(one.layer),
      one.tokens,
      one.dims,
      alphaChange(one) ?? null,
      one.median.before,
      one.median.after,
      one.largest.before,
      one.largest.after,
      one.ratio.before,
      one.ratio.after,
    ]),
    layers: layers.map(({ layer }) => layer),
  };
}
