/**
 * Every question that can be asked of a finished run, by type: how it is asked, and what its answer is. A new one is a
 * folder with these two and the answer, a line here, and one in `answers.ts`, which the compiler asks for.
 */
import { attribution } from './attribution/question.js';
import { bias } from './bias/question.js';
import { entries } from './entries/question.js';
import { evicted } from './evicted/question.js';
import { lens } from './lens/question.js';
import { output } from './output/question.js';
import { pattern } from './pattern/question.js';
import { predictions } from './predictions/question.js';

export const questions = {
  attribution,
  bias,
  entries,
  evicted,
  lens,
  output,
  pattern,
  predictions,
};
