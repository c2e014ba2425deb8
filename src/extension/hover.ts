/** What is known of the token under the mouse. */
import * as vscode from 'vscode';
import type { Analysis } from '../analysis/analysis.js';
import { formatNumber, formatRatio, formatShare, formatValue } from '../analysis/format.js';
import { textLabel, tokenLabel } from '../analysis/label.js';
import { type MassiveActivation, massiveActivations, ratio } from '../analysis/massive.js';
import { sinks } from '../analysis/sinks.js';
import type { Thresholds } from '../analysis/thresholds.js';
import { commandOf } from '../experiments/facts.js';
import { intervene } from '../experiments/intervene/index.js';
import type { Analyses } from './analyses.js';
import type { FoundSaliency, Saliency, Surprisal } from './askedOfRun.js';
import type { SettingsWatch } from './configuration.js';
import { code, commandLink, joined, type Markdown, own } from './markdown.js';
import { contributedId } from './names.js';
import { toRange } from './source.js';
import { hoverOf, withLinks } from './surfaces.js';

export function registerHover(
  analyses: Analyses,
  settings: SettingsWatch,
  surprisal: Surprisal,
  saliency: Saliency,
): vscode.Disposable {
  return vscode.languages.registerHoverProvider('*', {
    async provideHover(document, position) {
      const { run } = analyses;
      const token = analyses.tokenAt(document.uri, document.offsetAt(position));
      if (!run || token === undefined) return undefined;
      const range = run.ranges[token];
      // The prefix has no text to point at, so it is told of where its sign is: at the first token.
      const first = run.ranges.findIndex((known) => known !== undefined);
      const tokens = run.ranges.flatMap((other, index) =>
        (other && other.start === range?.start) || (index < first && token === first) ? [index] : [],
      );
      const text: Markdown[] = [];
      for (const index of tokens) {
        const asked =
          settings.current.tint === 'saliency'
            ? saliencyLine(saliency.found, index)
            : await surpriseLine(analyses, surprisal.found?.[index], index);
        text.push(describe(run.analysis, index, settings.current.thresholds, asked));
      }
      return hoverOf(joined(text, between), range && toRange(document, range), linked);
    },
  });
}

const between = '\n\n---\n\n';
const linked = [contributedId('showToken'), commandOf(intervene)];

/** What is known of the first `count` tokens, which stand for none of the text: for whoever points at their sign. */
export function prefixTold(analysis: Analysis, count: number, thresholds: Thresholds): vscode.MarkdownString {
  const text = Array.from({ length: count }, (_, index) => describe(analysis, index, thresholds, own('')));
  return withLinks(joined(text, between), linked);
}

/** Markdown about one token. */
function describe(analysis: Analysis, index: number, thresholds: Thresholds, asked: Markdown): Markdown {
  const token = analysis.tokens?.tokens[index];
  if (!token) return own('');
  const label = code(tokenLabel(token));
  const found = massiveActivations(analysis, thresholds).filter((activation) => activation.token === index);
  const lines = [
    words('**{0}** · token {1} · id {2}', label, index, token.id),
    ...(found.length > 0 ? found.map(activationLine) : [largestLine(analysis, index)]),
    sinkLine(analysis, index, thresholds),
    asked,
    joined(
      [
        commandLink(words('Show in Panel'), contributedId('showToken'), index),
        ...found.slice(0, 1).flatMap(interveneLinks),
      ],
      ' · ',
    ),
  ];
  return joined(lines, '  \n');
}

/** How surprising the token is, and what the model had expected in its place. */
async function surpriseLine(analyses: Analyses, nats: number | undefined, index: number): Promise<Markdown> {
  if (nats === undefined || Number.isNaN(nats)) return own('');
  const share = own(formatShare(Math.exp(-nats)));
  const surprise = words('surprisal **{0}** nats (p = {1})', own(formatNumber(nats)), share);
  const expected = await analyses.query({ type: 'predictions', token: index - 1 }).catch(() => undefined);
  if (!expected) return surprise;
  const top = expected.top.slice(0, 3).map(({ text, probability }) => own(`${code(text)} ${formatShare(probability)}`));
  return own(`${surprise}, ${words('expected: {0}', joined(top, ', '))}`);
}

/** How much the chosen prediction depends on the token. */
function saliencyLine(found: FoundSaliency | undefined, index: number): Markdown {
  const [product, share] = [found?.saliency[index], found?.shares[index]];
  if (!found || product === undefined || share === undefined) return own('');
  const { next, token, logit } = found;
  return words(
    'gradient × input **{0}** for {1} after token {2} (logit {3}), {4} of the largest',
    own(formatValue(product)),
    code(textLabel(next.text, next.id)),
    token,
    own(formatValue(logit)),
    own(formatShare(Math.abs(share))),
  );
}

/** What the run would be without this entry, or with it changed. */
function interveneLinks({ token, dim, onset }: MassiveActivation): Markdown[] {
  const entry = { tokens: `${token}`, dims: `${dim}`, block: `${onset}` };
  return [
    commandLink(words('Set dim {0} to Zero', dim), commandOf(intervene), { ...entry, set: 'zero' }),
    commandLink(words('Set to Mean'), commandOf(intervene), { ...entry, set: 'mean' }),
    commandLink(words('Change…'), commandOf(intervene), entry),
  ];
}

function activationLine({ kind, dim, value, ratio, onset, last }: MassiveActivation): Markdown {
  const name = kind === 'massive' ? words('▲ massive') : words('△ large');
  const size = words('dim **{0}**: {1}, {2} the median', dim, own(formatValue(value)), own(formatRatio(ratio)));
  const layers = onset === last ? words('at layer {0}', onset) : words('from layer {0} to {1}', onset, last);
  return own(`${name} · ${size}, ${layers}`);
}

function largestLine({ layers }: Analysis, token: number): Markdown {
  const largest = layers
    .flatMap((layer, k): Largest[] => {
      const [dim, size] = [layer.tokenMaxDim[token], layer.tokenMax[token]];
      return dim === undefined || size === undefined ? [] : [{ k, dim, size, ratio: ratio(size, layer) }];
    })
    .reduce((best, next) => (best && best.ratio >= next.ratio ? best : next), undefined as Largest | undefined);
  if (!largest) return own('');
  const { size, dim, k } = largest;
  return words(
    'largest |h|: {0}, {1} the median, dim {2} at layer {3}',
    own(formatNumber(size)),
    own(formatRatio(largest.ratio)),
    dim,
    k,
  );
}

interface Largest {
  readonly k: number;
  readonly dim: number;
  readonly size: number;
  readonly ratio: number;
}

function sinkLine(analysis: Analysis, token: number, thresholds: Thresholds): Markdown {
  const { heads, epsilon, tokens, sinks: found } = sinks(analysis, thresholds);
  const sink = found.find((one) => one.token === token);
  if (!sink) return own('');
  const { layer, head, alpha } = sink.strongest;
  return words(
    '⚓ sink · α > {0} in {1} of {2} heads (T = {3}), strongest: layer {4}, head {5} (α {6})',
    epsilon,
    sink.heads,
    heads,
    tokens,
    layer,
    head,
    own(formatNumber(alpha)),
  );
}

/** Own words of the editor's language, with numbers and Markdown in their places. */
const words = (message: string, ...values: readonly (number | Markdown)[]): Markdown =>
  own(vscode.l10n.t(message, ...values));
