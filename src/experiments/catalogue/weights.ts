import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { experiment } from '../experiment.js';
import { type WeightsResult, weights, weightsConclusion } from '../weights.js';
import { calibratedInputs, presented, rowBars, rowTable } from './rows.js';
import { massiveSettings, windowSettings } from './settings.js';

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
      { name: 'calibration', value: `${texts.calibration}, ${calibration.sequences} windows` },
      ...windowSettings(windows, rows[0]?.tokens),
      ...massiveSettings(thresholds),
      { name: 'seed', value: `${seed}` },
    ],
    warnings: result.warnings,
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
