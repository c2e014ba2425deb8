import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { fileOf } from '../shared/json.js';
import { followPerplexity } from './compute.js';
import { presentPerplexity } from './present.js';

export const perplexity = define({
  id: 'perplexity',
  title: 'Perplexity',
  about: 'effect',
  command: 'Measure Perplexity',
  description: 'How well the model predicts a text, in windows of fixed length.',
  help: 'measure the perplexity of a text in windows of fixed length',
  inputs: {
    model: shared.model,
    text: shared.text,
    window: shared.window,
    stride: shared.stride,
    tokens: shared.tokens,
  },
  run({ engine, ...setup }, { text, ...values }, signal) {
    return followPerplexity(engine, { ...setup, ...values, text: text.text }, signal);
  },
  present: presentPerplexity,
  json({ value }, { text }) {
    const { model, window, stride, prefix, tokens, perplexity, interval, windows, left, lost } = value;
    const file = fileOf(text);
    return { model, file, window, stride, prefix: prefix ?? null, windows, tokens, left, lost, perplexity, interval };
  },
});
