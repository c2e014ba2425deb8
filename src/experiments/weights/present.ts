import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { rowBars, rowTable } from '../shared/rows.js';
import { calibrationSetting, lostWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type WeightsResult, weightsConclusion } from './compute.js';

export function presentWeights(
  result: WeightsResult,
  texts: { readonly text: NamedText; readonly calibration: NamedText },
): Presentation {
  const { model, windows, calibration, block, token, dims, values, randomDims, thresholds, seed, rows, superWeights } =
    result;
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
    warnings: [...result.warnings, ...lostWarnings(windows)],
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
      {
        kind: 'table',
        heading: 'Super weights: single scalars of the last weight of an MLP',
        columns: [
          { name: 'block' },
          { name: 'row', format: 'plain' },
          { name: 'column', format: 'plain' },
          { name: 'value', format: 'value' },
          { name: 'share of the entry', format: 'share' },
          { name: 'entry ÷ median', format: 'ratio' },
          { name: 'perplexity without', format: 'fixed' },
          { name: 'weight' },
        ],
        rows: [
          ...superWeights.found.map(({ block, row, column, value, share, ratio, without, stored }) => {
            return [`${block}`, row, column, value, share, ratio, without.perplexity, stored];
          }),
          ...(superWeights.together
            ? [['all of them', null, null, null, null, null, superWeights.together.perplexity, '']]
            : []),
        ],
      },
    ],
  };
}
