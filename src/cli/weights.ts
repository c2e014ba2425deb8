import { Command, Option } from 'commander';
import { formatValue } from '../analysis/format.js';
import type { Engine } from '../engine/host/engine.js';
import { type WeightsResult, weights } from '../experiments/weights/compute.js';
import { presentWeights, weightList } from '../experiments/weights/present.js';
import { calibrationJson, rowJson, rowTable, textJson } from './interventions.js';
import { modelFile } from './model.js';
import { finished } from './progress.js';
import { checkTarget, saveJson } from './save.js';
import { columns, section } from './table.js';
import { type CalibratedOptions, calibratedRequest, whole, withCalibration, withTextOptions } from './text.js';
import { print } from './words.js';

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
      await checkTarget(options.save);
      const request = { ...(await calibratedRequest(options)), model: await modelFile(name) };
      const result = await finished(weights(engine, request, signal));
      const shown = presentWeights(result, { text: options.file, calibration: options.calibrate });
      try {
        await saveJson(options.save, shown.data);
      } finally {
        print(options.json, shown, toJson(result, options), tables(result));
      }
    });
}

function toJson(result: WeightsResult, { file, calibrate }: Options) {
  const { model, windows, calibration, randomDims, seed, rows } = result;
  const { random_points: _, median_points: __, ...calibrated } = calibrationJson(calibration, calibrate);
  return {
    ...textJson(model, file, windows, rows),
    ...calibrated,
    ...weightList(result, calibrate),
    random_dims: randomDims,
    seed,
    rows: rows.map(rowJson),
  };
}

function tables({ block, token, dims, values, randomDims, rows }: WeightsResult): string[] {
  const found = [
    ...dims.map((dim, i) => [`${dim}`, formatValue(values[i]), 'largest']),
    ...randomDims.map((dim) => [`${dim}`, '', 'random']),
  ];
  return [
    section('Perplexity', rowTable(rows)),
    section(
      `Intermediate dims of the MLP of block ${block}, at token ${token}`,
      columns(['dim', 'mean'], 'chosen', found),
    ),
  ];
}
