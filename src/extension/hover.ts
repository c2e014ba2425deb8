/** What is known of the token under the mouse. */
import * as vscode from 'vscode';
import type { Analysis } from '../analysis/analysis.js';
import { formatNumber, formatRatio, formatValue } from '../analysis/format.js';
import { tokenLabel } from '../analysis/label.js';
import { type MassiveActivation, massiveActivations, ratio } from '../analysis/massive.js';
import { sinks } from '../analysis/sinks.js';
import type { Thresholds } from '../analysis/thresholds.js';
import { commandOf } from '../experiments/facts.js';
import { intervene } from '../experiments/intervene/index.js';
import type { Analyses } from './analyses.js';
import type { SettingsWatch } from './configuration.js';
import { contributedId } from './names.js';
import { toRange } from './source.js';

export function registerHover(analyses: Analyses, settings: SettingsWatch): vscode.Disposable {
  return vscode.languages.registerHoverProvider('*', {
    provideHover(document, position) {
      const { run } = analyses;
      const token = analyses.tokenAt(document.uri, document.offsetAt(position));
      if (!run || token === undefined) return undefined;
      const range = run.ranges[token];
      // The prefix has no text to point at, so it is told of where its sign is: at the first token.
      const first = run.ranges.findIndex((known) => known !== undefined);
      const tokens = run.ranges.flatMap((other, index) =>
        (other && other.start === range?.start) || (index < first && token === first) ? [index] : [],
      );
      const text = tokens.map((index) => describe(run.analysis, index, settings.current.thresholds));
      const hover = new vscode.MarkdownString(text.join('\n\n---\n\n'));
      hover.isTrusted = { enabledCommands: [contributedId('showToken'), commandOf(intervene)] };
      return new vscode.Hover(hover, range && toRange(document, range));
    },
  });
}

/** Markdown about one token. */
function describe(analysis: Analysis, index: number, thresholds: Thresholds): string {
  const token = analysis.tokens?.tokens[index];
  if (!token) return '';
  const label = code(tokenLabel(token));
  const found = massiveActivations(analysis, thresholds).filter((activation) => activation.token === index);
  const lines = [
    vscode.l10n.t('**{0}** · token {1} · id {2}', label, index, token.id),
    ...(found.length > 0 ? found.map(activationLine) : [largestLine(analysis, index)]),
    sinkLine(analysis, index, thresholds),
    [
      link(vscode.l10n.t('Show in Panel'), contributedId('showToken'), index),
      ...found.slice(0, 1).flatMap(interveneLinks),
    ].join(' · '),
  ];
  return lines.filter((line) => line !== '').join('  \n');
}

/** What the run would be without this entry, or with it changed. */
function interveneLinks({ token, dim, onset }: MassiveActivation): string[] {
  const entry = { tokens: `${token}`, dims: `${dim}`, block: `${onset}` };
  return [
    link(vscode.l10n.t('Set dim {0} to Zero', dim), commandOf(intervene), { ...entry, set: 'zero' }),
    link(vscode.l10n.t('Set to Mean'), commandOf(intervene), { ...entry, set: 'mean' }),
    link(vscode.l10n.t('Change…'), commandOf(intervene), entry),
  ];
}

const link = (text: string, command: string, argument: unknown) =>
  `[${text}](command:${command}?${encodeURIComponent(JSON.stringify([argument]))})`;

function activationLine({ kind, dim, value, ratio, onset, last }: MassiveActivation): string {
  const name = kind === 'massive' ? vscode.l10n.t('▲ massive') : vscode.l10n.t('△ large');
  const size = vscode.l10n.t('dim {0}: {1}, {2} the median', `**${dim}**`, formatValue(value), formatRatio(ratio));
  const layers =
    onset === last ? vscode.l10n.t('at layer {0}', onset) : vscode.l10n.t('from layer {0} to {1}', onset, last);
  return `${name} · ${size}, ${layers}`;
}

function largestLine({ layers }: Analysis, token: number): string {
  const largest = layers
    .flatMap((layer, k): Largest[] => {
      const [dim, size] = [layer.tokenMaxDim[token], layer.tokenMax[token]];
      return dim === undefined || size === undefined ? [] : [{ k, dim, size, ratio: ratio(size, layer) }];
    })
    .reduce((best, next) => (best && best.ratio >= next.ratio ? best : next), undefined as Largest | undefined);
  if (!largest) return '';
  const { size, dim, k } = largest;
  return vscode.l10n.t(
    'largest |h|: {0}, {1} the median, dim {2} at layer {3}',
    formatNumber(size),
    formatRatio(largest.ratio),
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

function sinkLine(analysis: Analysis, token: number, thresholds: Thresholds): string {
  const { heads, epsilon, tokens, sinks: found } = sinks(analysis, thresholds);
  const sink = found.find((one) => one.token === token);
  if (!sink) return '';
  const { layer, head, alpha } = sink.strongest;
  return vscode.l10n.t(
    '⚓ sink · α > {0} in {1} of {2} heads (T = {3}), strongest: layer {4}, head {5} (α {6})',
    epsilon,
    sink.heads,
    heads,
    tokens,
    layer,
    head,
    formatNumber(alpha),
  );
}

/** `text` in a code span, whatever it holds. */
function code(text: string): string {
  const longest = Math.max(0, ...Array.from(text.matchAll(/`+/g), ([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return text.includes('`') ? `${fence} ${text} ${fence}` : `${fence}${text}${fence}`;
}
