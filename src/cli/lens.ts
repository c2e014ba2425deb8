import { Command, Option } from 'commander';
import { formatNumber } from '../analysis/format.js';
import { textLabel, tokenLabel } from '../analysis/label.js';
import type { Engine } from '../engine/host/engine.js';
import { decidedAt, type LensResult, lens, partName, targetOf } from '../experiments/lens/compute.js';
import { presentLens } from '../experiments/lens/present.js';
import { runJson } from './facts.js';
import { finished } from './progress.js';
import {
  fitting,
  type PromptOptions,
  parseIndex,
  promptJson,
  promptName,
  promptRequest,
  withPromptOptions,
} from './prompt.js';
import { columns, section } from './table.js';
import { whole } from './text.js';
import { print } from './words.js';

interface Options extends PromptOptions {
  readonly top: number;
  readonly mid?: boolean;
  readonly token?: number;
  readonly target?: number | string;
}

export function lensCommand(engine: Engine, signal: AbortSignal): Command {
  return withPromptOptions(new Command('lens'))
    .description('show what the model would predict from every layer, and which of its parts make a logit')
    .addOption(new Option('--top <n>', 'predictions of each token').argParser(whole('predictions')).default(3))
    .option('--mid', 'between attention and MLP too')
    .addOption(
      new Option('--token <index>', 'split the logit after this token (default: the last)').argParser(parseIndex),
    )
    .addOption(
      new Option('--target <token>', 'the predicted token, its id or its text (default: the most likely)').argParser(
        targetOf,
      ),
    )
    .action(async (model: string, options: Options) => {
      const { top, mid, token, target } = options;
      const request = { ...(await promptRequest(model, options)), top, mid, token, target };
      const result = await fitting(finished(lens(engine, request, signal)));
      print(options.json, presentLens(result, promptName(options)), toJson(result, options), tables(result));
    });
}

function toJson(result: LensResult, options: PromptOptions) {
  const { top, points, attribution } = result;
  return {
    ...runJson(result),
    ...promptJson(options),
    top,
    /** `rows[token]`: most likely first. */
    points,
    /** By token: the layer from which on its prediction is the final one. */
    decided_at: decidedAt(result),
    attribution: typeof attribution === 'string' ? { missing: attribution } : attribution,
  };
}

/** Tokens of a longer text are shown from its end. */
const shownTokens = 12;

function tables(result: LensResult): string[] {
  const { sequence, points, attribution } = result;
  const first = Math.max(0, sequence.length - shownTokens);
  const rows = sequence
    .slice(first)
    .map((token, i) => [
      `${first + i}`,
      tokenLabel(token),
      ...points.map(({ rows: byToken }) => textLabel(byToken[first + i]?.[0]?.text ?? '')),
    ]);
  const headings = points.map(({ layer, point }) => (point === 'resid_mid' ? `${layer} mid` : `h_${layer}`));
  const parts =
    typeof attribution === 'string' ? [] : attribution.parts.map((part) => [part.logit.toFixed(3), partName(part)]);
  return [
    section(
      `Most likely next token by layer${first > 0 ? `, last ${shownTokens} tokens` : ''}`,
      columns(['token', 'text', ...headings.slice(0, -1)], headings.at(-1) ?? '', rows),
    ),
    typeof attribution === 'string'
      ? ''
      : section(
          `Logit ${formatNumber(attribution.logit)} of ${textLabel(attribution.target.text)} after token ${attribution.token}`,
          columns(['logit'], 'part', parts),
        ),
  ];
}
