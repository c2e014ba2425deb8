/** Every experiment, in the order in which they are offered. */
import type { Experiment } from '../experiment.js';
import { biasExperiment } from './bias.js';
import { interventionsExperiment } from './interventions.js';
import { lensExperiment } from './lens.js';
import { perplexityExperiment } from './perplexity.js';
import { streamingExperiment } from './streaming.js';
import { surveyExperiment } from './survey.js';
import { weightsExperiment } from './weights.js';

export const experiments: readonly Experiment[] = [
  perplexityExperiment,
  interventionsExperiment,
  surveyExperiment,
  biasExperiment,
  weightsExperiment,
  lensExperiment,
  streamingExperiment,
];
