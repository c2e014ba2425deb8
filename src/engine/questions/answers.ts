/** The answer to every question. */
import type { AnswerTo, QuestionOf, QuestionType } from '../contract/questions.js';
import { answerAttribution } from './attribution/answer.js';
import { answerBias } from './bias/answer.js';
import { answerContributions } from './contributions/answer.js';
import { answerEntries } from './entries/answer.js';
import { answerEvicted } from './evicted/answer.js';
import type { Answerer, Inside } from './inside.js';
import { answerLens } from './lens/answer.js';
import { answerMagnitudes } from './magnitudes/answer.js';
import { answerOutput } from './output/answer.js';
import { answerPattern } from './pattern/answer.js';
import { answerPredictions } from './predictions/answer.js';
import { answerSaliency } from './saliency/answer.js';
import { answerSurprisal } from './surprisal/answer.js';

const answers: { readonly [T in QuestionType]: Answerer<T> } = {
  attribution: answerAttribution,
  bias: answerBias,
  contributions: answerContributions,
  entries: answerEntries,
  evicted: answerEvicted,
  lens: answerLens,
  magnitudes: answerMagnitudes,
  output: answerOutput,
  pattern: answerPattern,
  predictions: answerPredictions,
  saliency: answerSaliency,
  surprisal: answerSurprisal,
};

/** @throws SinkscopeError `input` for a layer, head or token that is not there */
export async function answer<T extends QuestionType>(
  run: Inside,
  type: T,
  question: QuestionOf<T>,
): Promise<AnswerTo<T>> {
  const answerer: Answerer<T> = answers[type];
  return answerer(run, question);
}
