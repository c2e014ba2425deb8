import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { promptJson, runJson } from '../shared/json.js';
import { findCancelling, layerOfPeak } from './compute.js';
import { presentCancelling } from './present.js';

export const cancelling = define({
  id: 'cancelling',
  title: 'What cancels massive activations',
  about: 'massive',
  command: 'What Cancels Massive Activations',
  description: 'What every block’s attention and MLP add to a massive activation, and the weights that take it away.',
  help: 'show what attention and MLP of each block add to a massive activation, and by which weights',
  inputs: {
    model: shared.model,
    text: { ...shared.prompt, document: 'analysed' },
    token: {
      kind: 'whole',
      label: 'Token',
      flag: '--token <index>',
      help: 'the token, prefix counted',
      least: 0,
      open: 'that of the largest entry',
      takes: 'token',
    },
    dim: {
      kind: 'whole',
      label: 'Dim',
      flag: '--dim <index>',
      help: 'the dim of the hidden state',
      least: 0,
      open: 'that of the largest entry',
      takes: 'dim',
    },
  },
  run({ engine, part, ...setup }, { text, ...values }, signal) {
    return findCancelling(engine, { ...setup, ...values, prompt: { text: text.text }, window: part }, signal);
  },
  present: presentCancelling,
  json(result, { text }) {
    const { token, dim, hidden, parts } = result;
    return {
      ...runJson(result),
      ...promptJson(text),
      token,
      dim,
      /** k of the h_k where it is largest. */
      peak: layerOfPeak(result),
      /** `hidden[k]`: the entry of h_k. */
      hidden,
      parts: parts.map(({ part, block, added, made }) => ({ part, layer: block, added, made: made ?? null })),
    };
  },
});
