import { Command, Option } from 'commander';
import { formatNumber } from '../analysis/format.js';
import type { Engine } from '../engine/engine.js';
import { readText } from '../experiments/files.js';
import { type PerplexityResult, perplexity } from '../experiments/perplexity.js';
import { leftOut } from '../experiments/text.js';
import { modelFile } from './model.js';
import { followed } from './progress.js';
import { budget, type TextOptions, whole, withTextOptions } from './text.js';

interface Options extends TextOptions {
  readonly stride?: number;
}

export function perplexityCommand(engine: Engine, signal: AbortSignal): Command {
  return withTextOptions(new Command('perplexity'))
    .description('measure the perplexity of a text in windows of fixed length')
    .argument('<model>', 'path of a .onnx file, or the name of a bundled model')
    .addOption(
      new Option('--stride <tokens>', 'score only so many tokens at the end of each window').argParser(whole('tokens')),
    )
    .action(async (name: string, options: Options) => {
      const request = {
        ...options,
        ...budget(options),
        model: await modelFile(name),
        text: await readText(options.file),
      };
      const result = await followed(perplexity(engine, request, signal), ({ done, windows, perplexity }) => ({
        done,
        of: windows,
        text: `windows · perplexity ${perplexity.toFixed(2)}`,
      }));
      process.stdout.write(options.json ? `${JSON.stringify(toJson(result, options))}\n` : inWords(result));
    });
}

function toJson(result: PerplexityResult, { file }: Options) {
  const { model, window, stride, prefix, tokens, perplexity, interval, windows, left, lost } = result;
  return { model, file, window, stride, prefix: prefix ?? null, windows, tokens, left, lost, perplexity, interval };
}

function inWords(result: PerplexityResult): string {
  const { perplexity, interval, tokens, windows, window, stride, prefix } = result;
  const notRun = leftOut(result);
  const bounds = interval.map((bound) => formatNumber(bound)).join(' to ');
  return [
    `Perplexity ${formatNumber(perplexity)} (95 % interval ${bounds}) over ${tokens} tokens.\n`,
    `${windows} windows of ${window} tokens, stride ${stride}, ${prefixWords(prefix)}.\n`,
    notRun === '' ? '' : `${notRun}\n`,
  ].join('');
}

export function prefixWords(prefix: number | undefined): string {
  return prefix === undefined ? 'no prefix token' : `each beginning with token ${prefix}`;
}
