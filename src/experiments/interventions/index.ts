import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { calibrationJson, definitionJson, rowJson, textJson } from '../shared/json.js';
import { interveneOnMassive } from './compute.js';
import { presentInterventions } from './present.js';

export const interventions = define({
  id: 'interventions',
  title: 'Interventions on massive activations',
  about: 'effect',
  command: "Run the Paper's Interventions",
  description: 'What the text’s perplexity becomes when massive activations are set to zero or to their mean.',
  help: 'measure what a model loses when its massive activations are set to zero, or to their mean',
  inputs: {
    model: shared.model,
    text: shared.text,
    calibration: { ...shared.calibration, document: 'bundled' },
    window: shared.window,
    stride: shared.stride,
    tokens: shared.tokens,
    seed: shared.seed,
    top: {
      kind: 'whole',
      label: 'Entries',
      flag: '--top <n>',
      help: 'set the n largest entries instead of those massive by definition',
      unit: 'entries',
      least: 1,
      open: 'massive',
    },
  },
  run({ engine, ...setup }, { text, calibration, top, ...values }, signal) {
    const texts = { text: text.text, calibrationText: calibration.text };
    return interveneOnMassive(engine, { ...setup, ...values, ...texts, largest: top }, signal);
  },
  present: presentInterventions,
  json({ model, windows, calibration, thresholds, seed, rows }, texts) {
    return {
      ...textJson(model, texts.text, windows, rows),
      ...calibrationJson(calibration, texts.calibration),
      random_points: calibration.random,
      median_points: calibration.median,
      thresholds: definitionJson(thresholds),
      seed,
      rows: rows.map(rowJson),
    };
  },
});
