/** What made the numbers that are shown, in a few words. */
import type { StartedEvent, TokensEvent } from '../engine/contract/events.js';
import type { Analysis } from './analysis.js';
import { formatNumber, formatRatio } from './format.js';
import { guessedInputs } from './outputs.js';
import type { Thresholds } from './thresholds.js';

/** The model and its prefix: `llama, BOS on`. */
export function madeBy({ started }: Analysis): string {
  return started ? `${started.model.name}, ${prefixOf(started)}` : 'another model';
}

/** That the text was a turn of a chat, where it was. */
export const chatOf = (settings: Pick<StartedEvent['settings'], 'chat'> | undefined): string[] =>
  settings?.chat === 'on' ? ['chat: user'] : settings?.chat === 'system' ? ['chat: system and user'] : [];

/** What computed it, where that was more than the CPU as it is by itself. */
export const deviceOf = ({ devices }: Analysis): string[] => devices.map(({ why }) => why.replace(/\.$/, ''));

const prefixOf = ({ settings: { bos } }: StartedEvent) =>
  bos === undefined ? 'tokens as given' : bos ? 'BOS on' : 'BOS off';

/** Which of the text's own tokens were run: those put around it are in no part of it. Undefined: all. */
export function partRun({ tokens, total, window: { start, end } }: TokensEvent): string | undefined {
  if (total !== undefined && total <= tokens.length) return undefined;
  const own = total && formatNumber(total - (tokens.length - (end - start)));
  return `tokens ${formatNumber(start)}–${formatNumber(end - 1)} of ${own ?? 'a longer text'}`;
}

/** What was not found, in words: of the file, and of what a run alone could tell. */
export function missingParts({ started, leftOut }: Analysis): string[] {
  const blocks = new Map<string, number[]>();
  leftOut.forEach((why, index) => {
    if (why !== undefined) blocks.set(why, [...(blocks.get(why) ?? []), index + 1]);
  });
  const patterns = [...blocks].map(([why, of]) => {
    const which = of.length === started?.model.layers && of.length > 1 ? `all ${of.length} blocks` : listed(of);
    return `attention pattern of ${which}: ${why}`;
  });
  return [...(started?.model.missing ?? []), ...patterns];
}

const listed = (blocks: readonly number[]) => `${blocks.length === 1 ? 'block' : 'blocks'} ${blocks.join(', ')}`;

/** What the numbers have to be read with: inputs that nobody gave, what was not found, what is to be known of the model. */
export const caveats = (analysis: Analysis): string[] => [
  ...guessedInputs(analysis),
  ...missingParts(analysis),
  ...(analysis.started?.model.remarks ?? []),
];

/** Model, T, BOS and thresholds: without them no number means anything. */
export const conditions = (analysis: Analysis, thresholds: Thresholds): string[] => [
  ...ownConditions(analysis, thresholds),
  ...caveats(analysis),
];

/** {@link conditions} without the {@link caveats}; the model first. */
export function ownConditions(analysis: Analysis, thresholds: Thresholds): string[] {
  const { started, tokens } = analysis;
  if (started === undefined) return [];
  const { model } = started;
  const { absolute, ratio, epsilon } = thresholds;
  const part = tokens && partRun(tokens);
  return [
    model.name,
    ...(model.streams.length > 1 ? [`stream ${model.stream}`] : []),
    `${model.layers} layers, D = ${formatNumber(model.hidden)}`,
    ...(tokens ? [`T = ${formatNumber(tokens.tokens.length)}`] : []),
    ...(part ? [part] : []),
    ...(tokens?.tokenizer === false && tokens.source === 'ids' ? ['no tokenizer: tokens have no text'] : []),
    prefixOf(started),
    ...chatOf(started.settings),
    `massive: |h| > ${formatNumber(absolute)}, ≥ ${formatRatio(ratio)} median`,
    `ε = ${epsilon}`,
    ...deviceOf(analysis),
  ];
}
