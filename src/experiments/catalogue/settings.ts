/** The settings that presentations name, in the words that all of them use. */
import { formatNumber } from '../../analysis/format.js';
import type { Setting } from '../../analysis/presentation.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { RunFacts } from '../run.js';

/** Sequences of a text: how long they are, how far apart and what they begin with. */
export function windowSettings(
  windows: { readonly window: number; readonly stride?: number; readonly prefix: number | undefined | null },
  tokens?: number,
): Setting[] {
  const { window, stride, prefix } = windows;
  return [
    { name: 'T', value: `${window} tokens` },
    ...(stride === undefined ? [] : [{ name: 'stride', value: `${stride}` }]),
    { name: 'BOS', value: prefix === undefined || prefix === null ? 'off' : `on (token ${prefix})` },
    ...(tokens === undefined ? [] : [{ name: 'tokens scored', value: `${tokens}` }]),
  ];
}

/** How a massive activation is told. */
export function massiveSettings({ absolute, ratio }: Pick<Thresholds, 'absolute' | 'ratio'>): Setting[] {
  return [{ name: 'massive', value: `|h| > ${formatNumber(absolute)} and ≥ ${formatNumber(ratio)} × median` }];
}

/** How a sink is told. */
export function sinkSettings({ epsilon }: Pick<Thresholds, 'epsilon'>): Setting[] {
  return [{ name: 'ε', value: `${epsilon}` }];
}

/** One run of a prompt. */
export function runSettings({ name, tokens, total, bos }: RunFacts): Setting[] {
  return [
    { name: 'model', value: name },
    { name: 'T', value: total > tokens ? `${tokens} of ${total} tokens` : `${tokens} tokens` },
    { name: 'BOS', value: bos === undefined ? 'as given' : bos ? 'on' : 'off' },
  ];
}
