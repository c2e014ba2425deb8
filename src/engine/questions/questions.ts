/**
 * Every question that can be asked of a finished run, by type: how it is asked, and what its answer is. A new one is a
 * folder with these two and the answer, a line here, and one in `answers.ts`, which the compiler asks for.
 */
import { attributionQuestion } from './attribution/question.js';
import { biasQuestion } from './bias/question.js';
import { contributionsQuestion } from './contributions/question.js';
import { entriesQuestion } from './entries/question.js';
import { evictedQuestion } from './evicted/question.js';
import { lensQuestion } from './lens/question.js';
import { magnitudesQuestion } from './magnitudes/question.js';
import { outputQuestion } from './output/question.js';
import { patternQuestion } from './pattern/question.js';
import { predictionsQuestion } from './predictions/question.js';
import { saliencyQuestion } from './saliency/question.js';
import { surprisalQuestion } from './surprisal/question.js';

export const questions = {
  attribution: attributionQuestion,
  bias: biasQuestion,
  contributions: contributionsQuestion,
  entries: entriesQuestion,
  evicted: evictedQuestion,
  lens: lensQuestion,
  magnitudes: magnitudesQuestion,
  output: outputQuestion,
  pattern: patternQuestion,
  predictions: predictionsQuestion,
  saliency: saliencyQuestion,
  surprisal: surprisalQuestion,
};
