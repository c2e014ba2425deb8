/** The settings that presentations name, in the words that all of them use. */
import { basename, dirname } from 'node:path';
import { formatNumber } from '../../analysis/format.js';
import type { Setting } from '../../analysis/presentation.js';
import type { Thresholds } from '../../analysis/thresholds.js';

/** A model as people know it: its folder's name where the file is only called `model.onnx`. */
export function modelName(file: string): string {
  const name = basename(file).replace(/\.onnx$/i, '');
  const folder = basename(dirname(file)) === 'onnx' ? dirname(dirname(file)) : dirname(file);
  return /^model/i.test(name) && basename(folder) !== '' ? `${basename(folder)}${name.slice(5)}` : name;
}

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
