/** What the head says of the token that comes next. */
import { SinkscopeError } from '../../errors.js';
import type { PredictionsEvent } from '../contract/events.js';
import { predictionsOf } from '../stages/head.js';
import type { Inside } from './inside.js';

/**
 * @param keep whether the head's session is kept
 * @throws SinkscopeError `input` where the model predicts no tokens
 */
export async function predictionsAfter(run: Inside, token: number, keep: boolean): Promise<PredictionsEvent> {
  if (!run.loaded.predicts || !run.head) {
    throw new SinkscopeError({
      code: 'input',
      message: 'This model does not predict tokens: it has no output head over a vocabulary.',
    });
  }
  await run.state(run.loaded.anatomy.layers);
  return predictedFrom(run, await run.head.logits(run.values, token, token + 1, keep), token);
}

/** @param logits [vocabulary] after `token` */
export function predictedFrom({ loaded }: Inside, logits: Float32Array, token: number): PredictionsEvent {
  return { type: 'predictions', token, top: predictionsOf(logits, loaded.tokenizer()) };
}

/** Where the largest entry is; of equal ones the first. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (const [i, value] of values.entries()) if (value > (values[best] ?? Number.NaN)) best = i;
  return best;
}
