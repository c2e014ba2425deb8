import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { rowBars, rowTable } from '../shared/rows.js';
import { calibrationSetting, leftWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type WeightsResult, weightsConclusion } from './compute.js';

export function presentWeights(
  result: WeightsResult,
  texts: { readonly text: NamedText; readonly calibration: NamedText },
): Presentation {
  const { model, windows, calibration, block, token, dims, values, randomDims, thresholds, seed, rows } = result;
  return {
    title: 'Massive weights',
    sentence: weightsConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: texts.text.name },
      calibrationSetting(texts.calibration.name, calibration.sequences),
      ...windowSettings(windows, rows[0]?.tokens),
      ...massiveSettings(thresholds),
      { name: 'seed', value: `${seed}` },
    ],
    warnings: [...result.warnings, ...leftWarnings(windows)],
    parts: [
      rowBars(rows),
      rowTable(rows),
      {
        kind: 'table',
        heading: `Intermediate dims of the MLP of block ${block}, at token ${token}`,
        columns: [{ name: 'dim' }, { name: 'mean', format: 'value' }, { name: 'chosen' }],
        rows: [
          ...dims.map((dim, i) => [`${dim}`, values[i] ?? null, 'largest']),
          ...randomDims.map((dim) => [`${dim}`, null, 'random']),
        ],
      },
    ],
  };
}
