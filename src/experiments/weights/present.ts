import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { experiment } from '../before/experiment.js';
import { calibratedInputs, presented, rowBars, rowTable } from '../shared/rows.js';
import { calibrationSetting, leftWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import { type WeightsResult, weights, weightsConclusion } from './compute.js';

/**
 * What a fine-tuning script needs (MacDrop): which rows of which block, and what they were found by.
 *
 * @param file what the calibration text is called
 */
export function weightList(result: WeightsResult, file: string) {
  const { model, windows, calibration, block, token, dims, values, thresholds } = result;
  return {
    model,
    /** 1-based; `block_index` is the same counted from 0, as in `model.layers[…]` of transformers. */
    block,
    block_index: block - 1,
    token,
    /** Rows of W_up and W_gate, columns of W_down; values are the means of the intermediate state at the token. */
    dims,
    values,
    /** Whether the entry that they make is massive by definition. */
    massive: calibration.massive,
    calibration: { file, sequences: calibration.sequences, window: calibration.window },
    prefix: windows.prefix ?? null,
    thresholds: { absolute: thresholds.absolute, ratio: thresholds.ratio },
  };
}

/** @param texts names of the measured text and of the calibration text */
export function presentWeights(
  result: WeightsResult,
  texts: { readonly text: string; readonly calibration: string },
): Presentation {
  const { model, windows, calibration, block, token, dims, values, randomDims, thresholds, seed, rows } = result;
  return {
    title: 'Massive weights',
    sentence: weightsConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: texts.text },
      calibrationSetting(texts.calibration, calibration.sequences),
      ...windowSettings(windows, rows[0]?.tokens),
      ...massiveSettings(thresholds),
      { name: 'seed', value: `${seed}` },
    ],
    warnings: [...result.warnings, ...leftWarnings(windows)],
    data: weightList(result, texts.calibration),
    parts: [
      rowBars(rows),
      rowTable(rows),
      {
        kind: 'table',
        heading: `Intermediate dims of the MLP of block ${block}, at token ${token}`,
        columns: [{ name: 'dim' }, { name: 'mean', format: 'value' }, { name: 'chosen' }],
        rows: [
          ...dims.map((dim, i) => [`${dim}`, values[i], 'largest']),
          ...randomDims.map((dim) => [`${dim}`, null, 'random']),
        ],
      },
    ],
  };
}

export const weightsExperiment = experiment({
  id: 'weights',
  title: 'Massive weights',
  description: 'Which few rows of an MLP make the massive activations, and what the model is without them.',
  inputs: { ...calibratedInputs, k: { kind: 'whole', label: 'Intermediate dims (k)', least: 1, default: 5 } },
  steps({ engine, ...setup }, { text, calibration, ...values }, signal) {
    const request = { ...setup, ...values, text: text.text, calibration: calibration.text };
    return presented(weights(engine, request, signal), (result) =>
      presentWeights(result, { text: text.name, calibration: calibration.name }),
    );
  },
});
