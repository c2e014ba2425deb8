import { Command, Option } from 'commander';
import { formatNumber, formatValue } from '../analysis/format.js';
import type { Engine } from '../engine/host/engine.js';
import { type InterventionsResult, interventions } from '../experiments/interventions/compute.js';
import { presentInterventions } from '../experiments/interventions/present.js';
import type { Calibration } from '../experiments/shared/calibrate.js';
import type { Row } from '../experiments/shared/variants.js';
import { modelFile } from './model.js';
import { finished } from './progress.js';
import { columns, section } from './table.js';
import { type CalibratedOptions, calibratedRequest, whole, withCalibration, withTextOptions } from './text.js';
import { print } from './words.js';

interface Options extends CalibratedOptions {
  readonly stride?: number;
  readonly top?: number;
}

export function interventionsCommand(engine: Engine, signal: AbortSignal): Command {
  return withCalibration(withTextOptions(new Command('interventions')))
    .description('measure what a model loses when its massive activations are set to zero, or to their mean')
    .argument('<model>', 'path of a .onnx file, or the name of a bundled model')
    .addOption(
      new Option('--stride <tokens>', 'score only so many tokens at the end of each window').argParser(whole('tokens')),
    )
    .addOption(
      new Option('--top <n>', 'set the n largest entries instead of those massive by definition').argParser(
        whole('entries'),
      ),
    )
    .action(async (name: string, options: Options) => {
      const request = { ...(await calibratedRequest(options)), model: await modelFile(name), largest: options.top };
      const result = await finished(interventions(engine, request, signal));
      const shown = presentInterventions(result, { text: options.file, calibration: options.calibrate });
      print(options.json, shown, toJson(result, options), tables(result));
    });
}

function toJson(result: InterventionsResult, { file, calibrate }: Options) {
  const { model, windows, calibration, thresholds, seed, rows } = result;
  return {
    ...textJson(model, file, windows, rows),
    ...calibrationJson(calibration, calibrate),
    thresholds: { absolute: thresholds.absolute, ratio: thresholds.ratio },
    seed,
    rows: rows.map(rowJson),
  };
}

/** What a table of perplexities of one text depends on. */
export function textJson(
  model: string,
  file: string,
  { window, stride, prefix, left }: InterventionsResult['windows'],
  rows: readonly Row[],
) {
  return { model, file, window, stride, prefix: prefix ?? null, tokens: rows[0]?.tokens ?? 0, left };
}

export function calibrationJson(calibration: Calibration, file: string) {
  const { layer, massive, points, random, median, sequences, window } = calibration;
  return {
    calibration: { file, sequences, window },
    /** k of the h_k that is changed. */
    layer,
    /** Whether the points are massive by definition. */
    massive,
    points,
    random_points: random,
    median_points: median,
  };
}

export function rowJson({ name, perplexity, interval }: Row) {
  return { name, perplexity, interval };
}

function tables({ calibration, rows }: InterventionsResult): string[] {
  const points = calibration.points.map(({ token, dim, mean }) => [`${token}`, `${dim}`, formatValue(mean)]);
  return [
    section('Perplexity', rowTable(rows)),
    section(
      `Entries of h_${calibration.layer}${calibration.massive ? ', massive by definition' : ''}`,
      columns(['token', 'dim'], 'mean', points),
    ),
  ];
}

export function rowTable(rows: readonly Row[]): string {
  const asIs = rows[0]?.perplexity ?? Number.NaN;
  const lines = rows.map(({ name, perplexity }) => [
    perplexity.toFixed(2),
    `× ${formatNumber(perplexity / asIs)}`,
    name,
  ]);
  return columns(['perplexity', 'against as is'], 'entries', lines);
}
