import { Command, Option } from 'commander';
import type { Engine } from '../engine/host/engine.js';
import { presentPerplexity, withInterval } from '../experiments/perplexity/present.js';
import { readText } from '../experiments/shared/files.js';
import { type PerplexityResult, perplexity } from '../experiments/shared/perplexity.js';
import { modelFile } from './model.js';
import { followed } from './progress.js';
import { budget, type TextOptions, whole, withTextOptions } from './text.js';
import { print } from './words.js';

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
      const result = await followed(perplexity(engine, request, signal), (step) => ({
        done: step.done,
        of: step.windows,
        text: `windows · perplexity ${withInterval(step)}`,
      }));
      print(options.json, presentPerplexity([result], options.file), toJson(result, options), []);
    });
}

function toJson(result: PerplexityResult, { file }: Options) {
  const { model, window, stride, prefix, tokens, perplexity, interval, windows, left, lost } = result;
  return { model, file, window, stride, prefix: prefix ?? null, windows, tokens, left, lost, perplexity, interval };
}
