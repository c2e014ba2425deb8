import { finite } from '../../statistics/numbers.js';
import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { definitionJson, fileOf, massiveJson } from '../shared/json.js';
import { compareQuantised } from './compute.js';
import { presentQuantised } from './present.js';

export const quantised = define({
  id: 'compare-quantised',
  title: 'Compare with a quantised file',
  about: 'quantising',
  command: 'Compare with a Quantised File…',
  description:
    'How far a quantised file of the chosen model is from it: predictions, hidden states, and which block is behind it.',
  help: 'compare a model with its quantised file: KL divergence, hidden states, what each block costs, perplexity',
  inputs: {
    model: { ...shared.model, help: `the model as it was: ${shared.model.help}` },
    text: shared.text,
    quantised: { kind: 'model', label: 'Quantised file', flag: '<quantised>', help: 'the file made from it' },
    window: shared.window,
    tokens: shared.tokens,
  },
  run({ engine, ...setup }, { model: reference, quantised: model, text, ...values }, signal) {
    return compareQuantised(engine, { ...setup, ...values, reference, model, text: text.text }, signal);
  },
  present: presentQuantised,
  json(
    { reference, model, layers: _, windows, thresholds, differences, massive, perplexity, ...divergence },
    { text },
  ) {
    const { kld, sameTop, rmsDp, sqnr, swap } = divergence;
    const { window, stride, prefix, left } = windows;
    return {
      reference,
      model,
      file: fileOf(text),
      window,
      stride,
      prefix: prefix ?? null,
      tokens: perplexity.reference.tokens,
      left,
      thresholds: { ...definitionJson(thresholds), soft: thresholds.soft },
      perplexity: { reference: perplexity.reference.perplexity, quantised: perplexity.model.perplexity },
      kld,
      same_top: sameTop,
      rms_dp: rmsDp,
      /** Of h_k by k, in dB. */
      sqnr: sqnr.map(({ cumulative, local }) => ({ cumulative: finite(cumulative), local: finite(local) })),
      /** 0: the embedding; L + 1: the output head. */
      swap,
      /** Of h_k by k. */
      differences,
      massive_activations: {
        reference: massive.reference.map(massiveJson),
        quantised: massive.model.map(massiveJson),
      },
    };
  },
});
