/** Every experiment, in the order in which they are offered. */

import { ablate } from './ablate/index.js';
import { activation } from './activation/index.js';
import { bias } from './bias/index.js';
import { cancelling } from './cancelling/index.js';
import { compare } from './compare/index.js';
import { quantised } from './compare-quantised/index.js';
import { doctor } from './doctor/index.js';
import { domains } from './domains/index.js';
import type { Experiment } from './experiment.js';
import { finetune } from './finetune/index.js';
import { generate } from './generate/index.js';
import { gradients } from './gradients/index.js';
import { intervene } from './intervene/index.js';
import { interventions } from './interventions/index.js';
import { lens } from './lens/index.js';
import { merge } from './merge/index.js';
import { outliers } from './outliers/index.js';
import { patch } from './patch/index.js';
import { perplexity } from './perplexity/index.js';
import { precision } from './precision/index.js';
import { prefix } from './prefix/index.js';
import { ratios } from './ratios/index.js';
import { steer } from './steer/index.js';
import { streaming } from './streaming/index.js';
import { survey } from './survey/index.js';
import { vision } from './vision/index.js';
import { weights } from './weights/index.js';

export const experiments: readonly Experiment[] = [
  intervene,
  patch,
  ablate,
  steer,
  perplexity,
  generate,
  interventions,
  survey,
  merge,
  bias,
  domains,
  compare,
  weights,
  finetune,
  cancelling,
  outliers,
  precision,
  prefix,
  quantised,
  doctor,
  lens,
  gradients,
  activation,
  streaming,
  vision,
  ratios,
];
