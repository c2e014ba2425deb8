import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { formatShare, formatValue } from '../analysis/format.js';
import { defaultThresholds } from '../analysis/thresholds.js';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { fixMean, type VisionResult } from '../experiments/vision/compute.js';
import { presentVision } from '../experiments/vision/present.js';
import { modelFile } from './model.js';
import { finished } from './progress.js';
import { parseIndex } from './prompt.js';
import { columns, section } from './table.js';
import { budget, memoryOption, whole } from './text.js';
import { print } from './words.js';

interface Options {
  readonly images?: readonly string[];
  readonly feeds?: readonly string[];
  readonly dims: number;
  readonly seed: number;
  readonly memory: number;
  readonly json?: boolean;
}

export function visionCommand(engine: Engine, signal: AbortSignal): Command {
  return new Command('vision')
    .description("measure how a vision model's output changes when massive activations are set to zero or their mean")
    .argument('<model>', 'path of a .onnx file')
    .addOption(new Option('--images <paths...>', 'PNG or JPEG pictures, at least two').conflicts('feeds'))
    .option('--feeds <paths...>', '.safetensors or .npz files with the pixels of one picture each')
    .addOption(new Option('--dims <n>', 'how many dimensions are set').argParser(whole('dimensions')).default(1))
    .addOption(new Option('--seed <n>', 'of the random entries').argParser(parseIndex).default(0))
    .addOption(memoryOption())
    .option('--json', 'print the result as JSON')
    .action(async (name: string, options: Options) => {
      const { dims, seed } = options;
      const request = { dims, seed, thresholds: defaultThresholds, ...budget(options) };
      const [model, images] = [await modelFile(name), imagesOf(options)];
      const result = await finished(fixMean(engine, { ...request, model, images }, signal));
      const { images: files = options.feeds ?? [] } = options;
      print(options.json, presentVision(result, files), toJson(result, files), tables(result));
    });
}

function imagesOf({ images, feeds }: Options) {
  if (images) return images.map((image) => ({ image: resolve(image) }));
  if (feeds) return feeds.map((file) => ({ feeds: resolve(file) }));
  throw new SinkscopeError({ code: 'input', message: 'There is no picture: give --images or --feeds.' });
}

function toJson(result: VisionResult, images: readonly string[]) {
  const { model, tokens, outputShape, thresholds, seed, layer, dims, entries, massive, largestRatio, rows } = result;
  return {
    model,
    images,
    T: tokens,
    output_shape: outputShape,
    thresholds: { absolute: thresholds.absolute, ratio: thresholds.ratio, soft: thresholds.soft },
    seed,
    layer,
    dims,
    /** By image. */
    entries,
    massive,
    largest_ratio: largestRatio,
    rows: rows.map(({ name, cosine, leastCosine, change, sameTop }) => ({
      name,
      cosine,
      least_cosine: leastCosine,
      change,
      same_top: sameTop,
    })),
  };
}

function tables({ rows, entries, layer }: VisionResult): string[] {
  const lines = rows.map(({ name, cosine, leastCosine, change, sameTop }) => [
    formatShare(change),
    cosine.toFixed(4),
    leastCosine.toFixed(4),
    formatShare(sameTop),
    name,
  ]);
  const places = entries.flatMap((list, i) =>
    list.map(({ token, dim, value }) => [`${i + 1}`, `${token}`, `${dim}`, formatValue(value)]),
  );
  return [
    section('Change of the output', columns(['change', 'cosine', 'least', 'same top'], 'entries set', lines)),
    section(`Entries of h_${layer}`, columns(['image', 'token', 'dim'], 'value', places)),
  ];
}
