/** Every experiment, in the order in which they are offered. */
import type { Experiment } from '../experiment.js';
import { interventionsExperiment } from './interventions.js';
import { perplexityExperiment } from './perplexity.js';
import { surveyExperiment } from './survey.js';
import { weightsExperiment } from './weights.js';

export const experiments: readonly Experiment[] = [
  perplexityExperiment,
  interventionsExperiment,
  surveyExperiment,
  weightsExperiment,
];
