/** What is said of one token wherever it is shown. */

import { formatNumber, formatRatio, formatShare, formatValue } from '../src/analysis/format.js';
import { layerName, textLabel } from '../src/analysis/label.js';
import type { Kind } from '../src/analysis/massive.js';
import type { ChatRole, PredictionsEvent } from '../src/engine/contract/events.js';
import { type Findings, shownLayer } from './findings.js';
import { ratioAt } from './numbers.js';
import type { Scene } from './view.js';

/** Whose words a token is part of. */
export const roleInWords: Readonly<Record<ChatRole, string>> = {
  template: 'written by the chat template',
  system: 'system',
  user: 'user',
  assistant: 'assistant',
};

/** Its name for screen readers: what does not change with the layer, so that choosing one leaves a thousand alone. */
export function tokenFacts(
  { labels, sinks }: Findings,
  token: number,
  kind: Kind | undefined,
  role?: ChatRole | undefined,
): string {
  const sink = sinks.sinks.find((other) => other.token === token);
  const facts = [`${labels[token]}, token ${token}`];
  if (role !== undefined) facts.push(roleInWords[role]);
  if (kind !== undefined) facts.push(kind);
  if (sink) facts.push(`sink in ${sink.heads} of ${formatNumber(sinks.heads)} heads`);
  return facts.join(', ');
}

/** How surprising a token is, and what had been expected in its place, as a tooltip's lines; none where it is not known. */
export function surpriseLines(nats: number | undefined, expected: PredictionsEvent | undefined): string[] {
  if (nats === undefined || Number.isNaN(nats)) return [];
  const top = expected?.top.slice(0, 3).map((one) => `${textLabel(one.text, one.id)} ${formatShare(one.probability)}`);
  return [
    `surprisal ${formatNumber(nats)} nats (p = ${formatShare(Math.exp(-nats))})`,
    ...(top ? [`expected: ${top.join(', ')}`] : []),
  ];
}

/** Its numbers at the layer that is shown, as a tooltip's title and lines; undefined before a layer has arrived. */
export function describeToken(
  { analysis, findings, selection }: Pick<Scene, 'analysis' | 'findings' | 'selection'>,
  token: number,
): string[] | undefined {
  const layer = shownLayer(analysis, findings, selection);
  const statistics = analysis.layers.at(layer);
  if (statistics === undefined) return undefined;
  const { source, tokens } = analysis.tokens ?? {};
  const id = source === 'image' || source === 'features' ? '' : ` · id ${tokens?.[token]?.id}`;
  const role = tokens?.[token]?.role;
  const sink = findings.sinks.sinks.find((other) => other.token === token);
  return [
    `${findings.labels[token]} · token ${token}${id}`,
    ...(role === undefined ? [] : [roleInWords[role]]),
    `layer ${layerName(layer)}: ${formatRatio(ratioAt(statistics, token))} the median in dimension ${statistics.tokenMaxDim[token]}`,
    ...findings.massive
      .filter((activation) => activation.token === token)
      .map(
        ({ kind, dim, value, onset, last }) =>
          `${kind}: dimension ${dim}, ${formatValue(value)}, ${onset === last ? `layer ${onset}` : `layers ${onset} to ${last}`}`,
      ),
    ...(sink
      ? [
          `sink in ${sink.heads} of ${formatNumber(findings.sinks.heads)} heads, most in layer ${sink.strongest.layer}, head ${sink.strongest.head}`,
        ]
      : []),
  ];
}
