import { Command, Option } from 'commander';
import { formatRatio, formatShare, formatValue } from '../analysis/format.js';
import type { MassiveActivation } from '../analysis/massive.js';
import { defaultThresholds, type Thresholds } from '../analysis/thresholds.js';
import type { Engine } from '../engine/host/engine.js';
import {
  compareQuantised,
  type OutliersResult,
  outlierCriteria,
  outliers,
  type QuantisedResult,
  residualName,
} from '../experiments/outliers/compute.js';
import { presentOutliers, presentQuantised } from '../experiments/outliers/present.js';
import { readText } from '../experiments/shared/files.js';
import { modelFile } from './model.js';
import { finished } from './progress.js';
import { columns, section } from './table.js';
import { budget, type TextOptions, whole, withRunOptions, withTextOptions } from './text.js';
import { print } from './words.js';

interface Options {
  readonly file: string;
  readonly tokens: number;
  readonly bos?: boolean;
  readonly memory: number;
  readonly json?: boolean;
}

export function outliersCommand(engine: Engine, signal: AbortSignal): Command {
  return withRunOptions(new Command('outliers'))
    .description('show outlier features beside massive activations, and what they cost in int8 at every layer')
    .argument('<model>', 'path of a .onnx file, or the name of a bundled model')
    .requiredOption('--file <path>', 'a UTF-8 text file')
    .addOption(
      new Option('--tokens <N>', 'run the first N tokens, prefix included').argParser(whole('tokens')).default(256),
    )
    .action(async (name: string, options: Options) => {
      const request = {
        ...options,
        ...budget(options),
        model: await modelFile(name),
        text: await readText(options.file),
        thresholds: defaultThresholds,
      };
      const result = await outliers(engine, request, signal);
      const { json, file } = options;
      print(json, presentOutliers(result, file), outliersJson(result, file), outliersTables(result));
    });
}

export function compareQuantisedCommand(engine: Engine, signal: AbortSignal): Command {
  return withTextOptions(new Command('compare-quantised'))
    .description('compare a model with its quantised file: hidden states, massive activations, perplexity')
    .argument('<model>', 'the model as it was: path of a .onnx file, or the name of a bundled model')
    .argument('<quantised>', 'the file made from it')
    .action(async (reference: string, quantised: string, options: TextOptions) => {
      const request = {
        ...options,
        ...budget(options),
        reference: await modelFile(reference),
        model: await modelFile(quantised),
        text: await readText(options.file),
        thresholds: defaultThresholds,
      };
      const result = await finished(compareQuantised(engine, request, signal));
      const { json, file } = options;
      print(json, presentQuantised(result, file), quantisedJson(result, file), quantisedTables(result));
    });
}

function thresholdsJson({ absolute, ratio, soft }: Thresholds) {
  return { absolute, ratio, soft };
}

function outliersJson(result: OutliersResult, file: string) {
  const { model, tokens, prefix, hidden, thresholds, outlierDims, massive, int8 } = result;
  return {
    model,
    file,
    tokens,
    prefix: prefix ?? null,
    hidden,
    thresholds: thresholdsJson(thresholds),
    outlier_criteria: outlierCriteria,
    outlier_dims: outlierDims,
    massive_activations: massive.map(entryJson),
    /** In the order of the model. */
    int8,
  };
}

function entryJson({ token, dim, kind, layer, value, ratio, onset, last }: MassiveActivation) {
  return { token, dim, kind, layer, value, ratio, onset, last };
}

function quantisedJson(result: QuantisedResult, file: string) {
  const { reference, model, windows, thresholds, differences, massive, perplexity } = result;
  const { window, stride, prefix, left } = windows;
  return {
    reference,
    model,
    file,
    window,
    stride,
    prefix: prefix ?? null,
    tokens: perplexity.reference.tokens,
    left,
    thresholds: thresholdsJson(thresholds),
    perplexity: { reference: perplexity.reference.perplexity, quantised: perplexity.model.perplexity },
    /** Of h_k by k. */
    differences,
    massive_activations: {
      reference: massive.reference.map(entryJson),
      quantised: massive.model.map(entryJson),
    },
  };
}

function outliersTables({ int8, massive }: OutliersResult): string[] {
  const rows = int8.map((errors) => [
    residualName(errors),
    ...(['tensor', 'token', 'channel'] as const).flatMap((axis) => [
      formatShare(errors.with[axis]),
      formatShare(errors.without[axis]),
    ]),
    `${errors.removed}`,
  ]);
  const headings = ['point', 'tensor', 'without', 'token', 'without', 'channel', 'without'];
  return [
    section(
      'Error of int8 with one scale per …, and without the entries that stand out',
      columns(headings, 'left out', rows),
    ),
    section('Massive and large activations', entryTable(massive)),
  ];
}

function entryTable(entries: readonly MassiveActivation[]): string {
  const rows = entries.map(({ kind, token, dim, value, ratio, onset, last }) => [
    kind,
    `${token}`,
    `${dim}`,
    formatValue(value),
    formatRatio(ratio),
    `${onset}–${last}`,
  ]);
  return columns(['kind', 'token', 'dim', 'value', 'ratio'], 'layers', rows);
}

function quantisedTables({ differences, massive }: QuantisedResult): string[] {
  const rows = differences.map(({ all, rest }, layer) => [`${layer}`, formatShare(all), formatShare(rest)]);
  const values = massive.reference.map(({ kind, token, dim, layer, value, ratio }) => {
    const after = massive.model.find((entry) => entry.token === token && entry.dim === dim);
    const now = after?.values[layer];
    return [
      kind,
      `${token}`,
      `${dim}`,
      `${layer}`,
      formatValue(value),
      formatRatio(ratio),
      now === undefined ? 'no longer stands out' : formatValue(now),
    ];
  });
  return [
    section(
      'Relative difference of hidden states, first window',
      columns(['layer', 'all entries'], 'without those that stand out', rows),
    ),
    section(
      'Massive and large activations',
      columns(['kind', 'token', 'dim', 'layer', 'value', 'ratio'], 'quantised', values),
    ),
  ];
}
