import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { rowBars, rowTable } from '../shared/rows.js';
import { calibrationSetting, lostWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type InterventionsResult, interventionsConclusion } from './compute.js';

export function presentInterventions(
  result: InterventionsResult,
  texts: { readonly text: NamedText; readonly calibration: NamedText },
): Presentation {
  const { model, windows, calibration, thresholds, seed, rows, warnings } = result;
  const { layer, points, random, median, sequences } = calibration;
  const entries = (set: string, chosen: readonly { token: number | string; dim: number; mean?: number }[]) =>
    chosen.map(({ token, dim, mean }) => [`${token}`, dim, mean ?? null, set]);
  return {
    title: 'Interventions',
    sentence: interventionsConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: texts.text.name },
      calibrationSetting(texts.calibration.name, sequences),
      ...windowSettings(windows, rows[0]?.tokens),
      ...massiveSettings(thresholds),
      { name: 'seed', value: `${seed}` },
    ],
    warnings: [...warnings, ...lostWarnings(windows)],
    parts: [
      rowBars(rows),
      rowTable(rows),
      {
        kind: 'table',
        heading: `Entries of h_${layer} that were set`,
        columns: [
          { name: 'token' },
          { name: 'dim', format: 'plain' },
          { name: 'mean', format: 'value' },
          { name: 'as' },
        ],
        rows: [
          ...entries(calibration.massive ? 'massive' : 'largest', points),
          ...entries('random', random),
          ...entries('median', median),
        ],
      },
    ],
  };
}
