import type { Answerer } from '../inside.js';
import { predictionsAfter } from '../predicted.js';

export const answerPredictions: Answerer<'predictions'> = (run, { token }) => {
  run.checkToken(token);
  return predictionsAfter(run, token, false);
};
