import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { formatNumber } from '../analysis/format.js';
import type { Engine } from '../engine/host/engine.js';
import { activationRatios, type RatiosResult } from '../experiments/ratios/compute.js';
import { presentRatios } from '../experiments/ratios/present.js';
import { modelFile } from './model.js';
import { finished } from './progress.js';
import { columns, section } from './table.js';
import { budget, memoryOption } from './text.js';
import { print } from './words.js';

interface Options {
  readonly feeds: readonly string[];
  readonly tail: number;
  readonly memory: number;
  readonly json?: boolean;
}

export function ratiosCommand(engine: Engine, signal: AbortSignal): Command {
  return new Command('ratios')
    .description("set a graph transformer's activation ratios against the same model untrained")
    .argument('<model>', 'path of the trained .onnx file')
    .argument('<untrained>', 'path of the same model untrained')
    .requiredOption('--feeds <paths...>', '.safetensors or .npz files with one graph each, by input name')
    .addOption(
      new Option('--tail <share>', "of the untrained model's fitted distribution that counts as its far end")
        .argParser(Number)
        .default(0.001),
    )
    .addOption(memoryOption())
    .option('--json', 'print the result as JSON')
    .action(async (trained: string, untrained: string, options: Options) => {
      const graphs = options.feeds.map((file) => ({ feeds: resolve(file) }));
      const [model, twin] = [await modelFile(trained), await modelFile(untrained)];
      const request = { model, twin, graphs, tail: options.tail, ...budget(options) };
      const result = await finished(activationRatios(engine, request, signal));
      print(options.json, presentRatios(result), toJson(result, options), tables(result));
    });
}

function toJson(result: RatiosResult, { feeds }: Options) {
  const { model, twin, tail, ratios } = result;
  return {
    model,
    untrained: twin,
    feeds,
    tail,
    ratios: ratios.map(({ of, layer, trained, untrained, gamma, limit, outside, outsideUntrained }) => ({
      of,
      layer,
      trained,
      untrained,
      /** Of −log10(ratio) of the untrained model. */
      gamma,
      limit,
      outside,
      outside_untrained: outsideUntrained,
    })),
  };
}

function tables({ ratios }: RatiosResult): string[] {
  const lines = ratios.map(({ of, layer, trained, untrained, limit, outside }) => [
    `${layer}`,
    of,
    formatNumber(untrained.largestRatio),
    formatNumber(trained.largestRatio),
    formatNumber(limit),
    `${Number((100 * outside).toPrecision(3))} %`,
  ]);
  return [
    section(
      'Ratio |a| ÷ median: the largest, and the share of the trained model beyond the untrained',
      columns(['layer', 'of', 'untrained', 'trained', 'limit'], 'outside', lines),
    ),
  ];
}
