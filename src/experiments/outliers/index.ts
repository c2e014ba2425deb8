import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { definitionJson, fileOf, massiveJson } from '../shared/json.js';
import { findOutliers, outlierCriteria } from './compute.js';
import { presentOutliers } from './present.js';

export const outliers = define({
  id: 'outliers',
  title: 'Outlier features and quantisation error',
  about: 'massive',
  command: 'Outlier Features and Quantisation Error',
  description: 'Outlier features beside massive activations, and what both cost when the model is quantised to int8.',
  help: 'show outlier features beside massive activations, and what they cost in int8 at every layer',
  inputs: {
    model: shared.model,
    text: shared.piece,
    tokens: shared.firstTokens,
  },
  run({ engine, ...setup }, { text, ...values }, signal) {
    return findOutliers(engine, { ...setup, ...values, text: text.text }, signal);
  },
  present: presentOutliers,
  json({ model, tokens, prefix, hidden, thresholds, outlierDims, residualDims, massive, int8 }, { text }) {
    return {
      model,
      file: fileOf(text),
      tokens,
      prefix: prefix ?? null,
      hidden,
      thresholds: { ...definitionJson(thresholds), soft: thresholds.soft },
      outlier_criteria: outlierCriteria,
      /** Of what products read, as the paper counts them. */
      outlier_dims: outlierDims,
      residual_outlier_dims: residualDims,
      massive_activations: massive.map(massiveJson),
      /** In the order of the model. */
      int8,
    };
  },
});
