import { visible } from '../visible.js';
import type { Analysis } from './analysis.js';
import { formatNumber, formatRatio, formatShare, formatValue } from './format.js';
import { quotedLabel, tokenLabel } from './label.js';
import { type Kind, type MassiveActivation, massiveActivations, ratio } from './massive.js';
import type { Selection } from './selection.js';
import { type Sink, sinks } from './sinks.js';
import type { Thresholds } from './thresholds.js';

/** A piece of a sentence; marked pieces are set off (panel) or coloured (terminal) as what they name. */
export interface Span {
  readonly text: string;
  readonly mark?: Kind | 'sink';
  /** What it names, to be looked at. */
  readonly at?: Selection;
}

/** Of each sort this many are named and the rest counted: the tables have them all. */
const NAMED = 3;

/** The sentences of {@link summarySentences} in one line. */
export function summary(analysis: Analysis, thresholds: Thresholds): Span[] {
  return joined(summarySentences(analysis, thresholds), ' ');
}

/** {@link summary} as plain text. */
export function summaryText(analysis: Analysis, thresholds: Thresholds): string {
  return summary(analysis, thresholds)
    .map(({ text }) => text)
    .join('');
}

/**
 * What the run shows, in words: massive dimensions, large ones, sinks, and anything that is not finite, a sentence each;
 * its spans, joined, are plain text. Empty until the first layer has arrived; says how far the run got until it finishes.
 */
export function summarySentences(analysis: Analysis, thresholds: Thresholds): Span[][] {
  if (analysis.layers.length === 0) return [];
  const found = massiveActivations(analysis, thresholds);
  const massive = byDimension(found.filter(({ kind }) => kind === 'massive'));
  const massiveDims = new Set(massive.map(([{ dim }]) => dim));
  const large = byDimension(found.filter(({ dim }) => !massiveDims.has(dim)));
  const sentences = [
    progress(analysis),
    massive.length > 0 ? massiveSentence(analysis, massive) : nothingMassive(analysis, thresholds),
    largeSentence(large),
    sinkSentence(analysis, thresholds),
    nonFiniteSentence(analysis),
  ];
  return sentences.filter((sentence) => sentence.length > 0);
}

/** Token `index` as a sentence names it: `⟨bos⟩`, `“,” (token 12)`. */
export function tokenName(analysis: Analysis, index: number): string {
  const token = analysis.tokens?.tokens[index];
  if (!token) return `token ${index}`;
  const { source, tokenizer } = analysis.tokens ?? {};
  if (source === 'image' || source === 'features') return visible(token.text);
  if (!tokenizer && token.id >= 0) return `token ${index} (id ${token.id})`;
  return token.special ? tokenLabel(token) : `${quotedLabel(token)} (token ${index})`;
}

function progress({ status, started, layers }: Analysis): Span[] {
  if (status === 'finished') return [];
  return [{ text: `As far as layer ${layers.length - 1} of ${started?.model.layers ?? '?'}:` }];
}

function massiveSentence(analysis: Analysis, dimensions: readonly OneDimension[]): Span[] {
  const named = dimensions.map(([strongest, ...others]): Span[] => {
    const tokens = [strongest, ...others].map(({ token }) => ({ text: tokenName(analysis, token) }));
    return [
      { text: `${strongest.dim}`, mark: 'massive', at: placeOf(strongest) },
      { text: ' on ' },
      ...enumerated(tokens.map((token) => [token])),
      { text: `, ${formatValue(strongest.value)} = ${formatRatio(strongest.ratio)} the median, ${extent(strongest)}` },
    ];
  });
  return [
    { text: `${dimensions.length} massive ${dimensions.length === 1 ? 'dimension' : 'dimensions'}`, mark: 'massive' },
    { text: ': ' },
    ...enumerated(named, '; '),
    { text: '.' },
  ];
}

const placeOf = ({ token, dim, layer }: MassiveActivation): Selection => ({ token, dim, layer });

/** Where it is massive, and how much further it is large. */
function extent({ onset, last, softOnset, softLast }: MassiveActivation): string {
  const massive = onset === last ? `at layer ${onset}` : `from layer ${onset} to ${last}`;
  return softOnset === onset && softLast === last ? massive : `${massive} (large from ${softOnset} to ${softLast})`;
}

function nothingMassive(analysis: Analysis, { absolute, ratio: times }: Thresholds): Span[] {
  const largest = analysis.layers
    .flatMap((layer, k) =>
      layer.top.slice(0, 1).map((entry) => ({ ...entry, layer: k, ratio: ratio(entry.value, layer) })),
    )
    .sort((a, b) => b.ratio - a.ratio)
    .at(0);
  if (!largest) return [{ text: 'No massive activations, and no finite ones either.' }];
  const { value, token, dim, layer } = largest;
  if (value === 0) return [{ text: 'No massive activations: every finite entry is 0.' }];
  const size = `${formatValue(value)} = ${formatRatio(largest.ratio)} the median`;
  const place = `dimension ${dim} on ${tokenName(analysis, token)} at layer ${layer}`;
  const needed = `massive is above ${formatNumber(absolute)} and ${formatRatio(times)} the median`;
  return [{ text: `No massive activations: the largest is ${size}, ${place} (${needed}).` }];
}

function largeSentence(dimensions: readonly OneDimension[]): Span[] {
  if (dimensions.length === 0) return [];
  const named = dimensions.map(([strongest]): Span[] => [
    { text: `${strongest.dim}`, mark: 'large', at: placeOf(strongest) },
    { text: ` (${formatValue(strongest.value)}, ${formatRatio(strongest.ratio)})` },
  ]);
  return [
    { text: dimensions.length === 1 ? 'One large: ' : `${dimensions.length} large: ` },
    ...enumerated(named),
    { text: '.' },
  ];
}

function sinkSentence(analysis: Analysis, thresholds: Thresholds): Span[] {
  const { heads, tokens, sinks: found } = sinks(analysis, thresholds);
  if (heads === 0) return withoutPattern(analysis);
  const setting = `T = ${formatNumber(tokens)}`;
  if (tokens < thresholds.minQueries) {
    return [
      { text: `Too short for sinks: ${setting}, and a sink is seen by at least ${thresholds.minQueries} queries.` },
    ];
  }
  const alpha = `α > ${thresholds.epsilon}`;
  const share = formatShare(thresholds.minShare);
  if (found.length === 0) {
    return [{ text: `No sink: no token draws ${alpha} in ${share} of the ${formatNumber(heads)} heads (${setting}).` }];
  }
  const named = found.map((sink, i): Span[] => [
    { text: sinkName(analysis, sink), mark: 'sink', ...(sink.token !== undefined && { at: { token: sink.token } }) },
    {
      text:
        i === 0
          ? ` draws ${alpha} in ${formatNumber(sink.heads)} of ${formatNumber(heads)} heads`
          : ` in ${formatNumber(sink.heads)}`,
    },
  ]);
  const onlyExtra = found.every((sink) => sink.token === undefined);
  return [
    { text: found.length === 1 ? 'Sink: ' : 'Sinks: ', mark: 'sink' },
    ...enumerated(named),
    { text: ` (${setting}); ${onlyExtra ? 'no' : 'no other'} token does in ${share} of them.` },
  ];
}

function sinkName(analysis: Analysis, { token }: Sink): string {
  return token === undefined ? 'the extra column' : tokenName(analysis, token);
}

function withoutPattern({ status, started }: Analysis): Span[] {
  if (started?.model.attention === false) {
    return [{ text: 'This model shows no attention pattern, so nothing can be said about sinks.' }];
  }
  return status === 'finished'
    ? [{ text: 'No attention over the tokens was computed, so nothing is said about sinks.' }]
    : [];
}

function nonFiniteSentence({ layers }: Analysis): Span[] {
  const first = layers.findIndex((layer) => layer.nonFinite > 0);
  const layer = layers[first];
  if (!layer) return [];
  const count = formatNumber(layer.nonFinite);
  return [{ text: `Layer ${first} has ${count} entries that are NaN or infinite; they are left out of every number.` }];
}

/** What was found in one dimension, the strongest token first. */
type OneDimension = readonly [MassiveActivation, ...MassiveActivation[]];

/** In the order of their strongest. */
function byDimension(found: readonly MassiveActivation[]): OneDimension[] {
  const dimensions = new Map<number, [MassiveActivation, ...MassiveActivation[]]>();
  for (const activation of found) {
    const known = dimensions.get(activation.dim);
    if (known) known.push(activation);
    else dimensions.set(activation.dim, [activation]);
  }
  return [...dimensions.values()];
}

/** The first of `items`, and how many more there are. */
function enumerated(items: readonly Span[][], separator = ', '): Span[] {
  const spans = joined(items.slice(0, NAMED), separator);
  return items.length > NAMED ? [...spans, { text: ` and ${items.length - NAMED} more` }] : spans;
}

function joined(items: readonly Span[][], separator: string): Span[] {
  return items.flatMap((item, i) => (i === 0 ? item : [{ text: separator }, ...item]));
}
