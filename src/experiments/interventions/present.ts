import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { experiment } from '../before/experiment.js';
import { calibratedInputs, presented, rowBars, rowTable } from '../shared/rows.js';
import { calibrationSetting, leftWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import { conclusion, type InterventionsResult, interventions } from './compute.js';

/** @param texts names of the measured text and of the calibration text */
export function presentInterventions(
  result: InterventionsResult,
  texts: { readonly text: string; readonly calibration: string },
): Presentation {
  const { model, windows, calibration, thresholds, seed, rows, warnings } = result;
  const { layer, points, random, median, sequences } = calibration;
  const entries = (set: string, chosen: readonly { token: number | string; dim: number; mean?: number }[]) =>
    chosen.map(({ token, dim, mean }) => [`${token}`, dim, mean ?? null, set]);
  return {
    title: 'Interventions',
    sentence: conclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: texts.text },
      calibrationSetting(texts.calibration, sequences),
      ...windowSettings(windows, rows[0]?.tokens),
      ...massiveSettings(thresholds),
      { name: 'seed', value: `${seed}` },
    ],
    warnings: [...warnings, ...leftWarnings(windows)],
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

export const interventionsExperiment = experiment({
  id: 'interventions',
  title: 'Interventions on massive activations',
  description: 'What the text’s perplexity becomes when massive activations are set to zero or to their mean.',
  inputs: { ...calibratedInputs, largest: { kind: 'whole', label: 'Entries', least: 1, open: 'massive' } },
  steps({ engine, ...setup }, { text, calibration, ...values }, signal) {
    const request = { ...setup, ...values, text: text.text, calibration: calibration.text };
    return presented(interventions(engine, request, signal), (result) =>
      presentInterventions(result, { text: text.name, calibration: calibration.name }),
    );
  },
});
