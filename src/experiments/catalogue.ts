/** Every experiment, in the order in which they are offered. */

import type { Experiment } from './before/experiment.js';
import { biasExperiment } from './bias/present.js';
import { compareExperiment } from './compare/present.js';
import { interveneExperiment } from './intervene/present.js';
import { interventionsExperiment } from './interventions/present.js';
import { lensExperiment } from './lens/present.js';
import { outliersExperiment, quantisedExperiment } from './outliers/present.js';
import { perplexityExperiment } from './perplexity/present.js';
import { ratiosExperiment } from './ratios/present.js';
import { streamingExperiment } from './streaming/present.js';
import { mergeExperiment, surveyExperiment } from './survey/present.js';
import { visionExperiment } from './vision/present.js';
import { weightsExperiment } from './weights/present.js';

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
