/** The settings that presentations name, in the words that all of them use. */
import { counted, formatNumber } from '../../analysis/format.js';
import type { Setting } from '../../analysis/presentation.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { RunFacts } from './run.js';
import { lostInWords, type TextWindows } from './text.js';

/** The text that points and means were found on. */
export function calibrationSetting(name: string, sequences: number): Setting {
  return { name: 'calibration', value: `${name}, ${counted(sequences, 'window')}` };
}

/** Sequences of a text: how long they are, how far apart and what they begin with. */
export function windowSettings(
  windows: {
    readonly window: number;
    readonly asked?: number | undefined;
    readonly stride?: number;
    readonly prefix: number | undefined | null;
    readonly left?: number;
  },
  tokens?: number,
): Setting[] {
  const { window, asked, stride, prefix, left = 0 } = windows;
  const short =
    asked === undefined || asked <= window
      ? ''
      : `, for the text has no more: a window of ${formatNumber(asked)} was asked for`;
  return [
    { name: 'T', value: `${counted(window, 'token')}${short}` },
    ...(stride === undefined ? [] : [{ name: 'stride', value: formatNumber(stride) }]),
    { name: 'BOS', value: prefix === undefined || prefix === null ? 'off' : `on (token ${prefix})` },
    ...(tokens === undefined ? [] : [{ name: 'tokens scored', value: formatNumber(tokens) }]),
    ...(left === 0
      ? []
      : [{ name: 'left out at the end', value: `${counted(left, 'token')}, too few to fill a window` }]),
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
export function runSettings({ name, stream, tokens, bos }: RunFacts): Setting[] {
  return [
    { name: 'model', value: name },
    ...(stream === undefined ? [] : [{ name: 'stream', value: stream }]),
    { name: 'T', value: counted(tokens, 'token') },
    { name: 'BOS', value: bos === undefined ? 'as given' : bos ? 'on' : 'off' },
  ];
}

/** That the model does not get to see all of a text, where that is so. */
export function lostWarnings({ lost }: Pick<TextWindows, 'lost'>): string[] {
  return lost === 0 ? [] : [lostInWords(lost)];
}

/** That only a part of the text was run, where that is so. */
export function partWarnings({ tokens, window, total }: RunFacts): string[] {
  if (total !== undefined && tokens >= total) return [];
  const { start, end } = window;
  const run = end - start;
  // Both count what the tokenizer puts around the text.
  const own = total && formatNumber(total - (tokens - run));
  const part = `the ${start === 0 ? 'first' : 'last'} ${formatNumber(run)} of its ${own === undefined ? '' : `${own} `}tokens`;
  return [`The text is too long to be run at once: only ${part} were run.`];
}
