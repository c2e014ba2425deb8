/** Every experiment, in the order in which they are offered. */
import type { Experiment } from '../experiment.js';
import { biasExperiment } from './bias.js';
import { compareExperiment } from './compare.js';
import { interveneExperiment } from './intervene.js';
import { interventionsExperiment } from './interventions.js';
import { lensExperiment } from './lens.js';
import { outliersExperiment, quantisedExperiment } from './outliers.js';
import { perplexityExperiment } from './perplexity.js';
import { ratiosExperiment } from './ratios.js';
import { streamingExperiment } from './streaming.js';
import { mergeExperiment, surveyExperiment } from './survey.js';
import { visionExperiment } from './vision.js';
import { weightsExperiment } from './weights.js';

export const experiments: readonly Experiment[] = [
  interveneExperiment,
  perplexityExperiment,
  interventionsExperiment,
  surveyExperiment,
  mergeExperiment,
  biasExperiment,
  compareExperiment,
  weightsExperiment,
  outliersExperiment,
  quantisedExperiment,
  lensExperiment,
  streamingExperiment,
  visionExperiment,
  ratiosExperiment,
];
