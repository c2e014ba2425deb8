import { Command, Option } from 'commander';
import { formatValue } from '../analysis/format.js';
import type { Engine } from '../engine/engine.js';
import { type WeightsResult, weights, weightsConclusion } from '../experiments/weights.js';
import { calibrationJson, rowJson, rowTable, textJson } from './interventions.js';
import { modelFile } from './model.js';
import { prefixWords } from './perplexity.js';
import { finished } from './progress.js';
import { saveJson } from './save.js';
import { columns, section } from './table.js';
import { type CalibratedOptions, calibratedRequest, whole, withCalibration, withTextOptions } from './text.js';

interface Options extends CalibratedOptions {
  readonly k: number;
  readonly save?: string;
}

export function weightsCommand(engine: Engine, signal: AbortSignal): Command {
  return withCalibration(withTextOptions(new Command('weights')))
    .description('find the massive weights of a model and measure what depends on them')
    .argument('<model>', 'path of a .onnx file, or the name of a bundled model')
    .addOption(new Option('--k <n>', 'intermediate dims to take').argParser(whole('dims')).default(5))
    .option('--save <path>', 'write the list of dims as JSON, for fine-tuning')
    .action(async (name: string, options: Options) => {
      const request = { ...(await calibratedRequest(options)), model: await modelFile(name) };
      const result = await finished(weights(engine, request, signal));
      for (const warning of result.warnings) process.stderr.write(`${warning}\n`);
      if (options.save !== undefined) await saveJson(options.save, listJson(result));
      process.stdout.write(options.json ? `${JSON.stringify(toJson(result, options))}\n` : inWords(result));
    });
}

/** What a fine-tuning script needs (MacDrop): which rows of which block. */
function listJson({ model, block, token, dims, values }: WeightsResult) {
  return {
    model,
    /** 1-based; `block_index` is the same counted from 0, as in `model.layers[…]` of transformers. */
    block,
    block_index: block - 1,
    token,
    /** Rows of W_up and W_gate, columns of W_down; values are those of the intermediate state at the token. */
    dims,
    values,
  };
}

function toJson(result: WeightsResult, { file, calibrate }: Options) {
  const { model, windows, calibration, randomDims, thresholds, seed, rows, warnings } = result;
  const { random_points: _, median_points: __, ...calibrated } = calibrationJson(calibration, calibrate);
  return {
    ...textJson(model, file, windows, rows),
    ...calibrated,
    ...listJson(result),
    random_dims: randomDims,
    thresholds: { absolute: thresholds.absolute, ratio: thresholds.ratio },
    seed,
    warnings,
    rows: rows.map(rowJson),
    conclusion: weightsConclusion(result),
  };
}

function inWords(result: WeightsResult): string {
  const { windows, calibration, block, token, dims, values, randomDims, rows, seed } = result;
  const found = dims.map((dim, i) => [`${dim}`, formatValue(values[i])]);
  return [
    `${weightsConclusion(result)}\n`,
    section('Perplexity', rowTable(rows)),
    section(
      `Largest of the MLP intermediate state of block ${block} at token ${token}`,
      columns(['dim'], 'mean', found),
    ),
    `\n${rows[0]?.tokens ?? 0} tokens in windows of ${windows.window}, stride ${windows.stride}, ${prefixWords(windows.prefix)}; `,
    `calibrated on ${calibration.sequences} windows; random dims ${randomDims.join(', ')} (seed ${seed}).\n`,
  ].join('');
}
