import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { definitionJson, promptJson, runJson } from '../shared/json.js';
import { splitAttention } from './compute.js';
import { presentBias } from './present.js';

export const bias = define({
  id: 'bias',
  title: 'Implicit attention bias',
  about: 'effect',
  command: 'Implicit Attention Bias',
  description: 'Whether massive tokens add the same vector to every query’s attention output.',
  help: 'split attention outputs into what massive tokens add and the rest: the implicit attention bias',
  inputs: {
    model: shared.model,
    text: shared.prompt,
    tokens: {
      kind: 'indices',
      label: 'Tokens',
      flag: '--tokens <indices>',
      help: 'the tokens, as in 0,3',
      words: ['massive'],
      default: 'massive',
      takes: 'token',
    },
  },
  run({ engine, part, ...setup }, { model, text, tokens }, signal) {
    const chosen = tokens === 'massive' ? undefined : tokens;
    const prompt = { text: text.text };
    return splitAttention(engine, { ...setup, model, prompt, window: part, tokens: chosen }, signal);
  },
  present: presentBias,
  json(result, { text }) {
    const { thresholds, reason, chosen, names, blocks } = result;
    return {
      ...runJson(result),
      ...promptJson(text),
      thresholds: definitionJson(thresholds),
      /** Indices of tokens, or `extra`. */
      chosen,
      names,
      reason,
      blocks: blocks.map(({ layer, counted, heads, projected, participation, norms, keyNorm, valueNorm }) => ({
        layer,
        /** The queries that count: from this token on. */
        queries_from: counted.from,
        queries: counted.queries,
        heads,
        projected: projected ?? null,
        /** [chosen, others] */
        participation: { input: participation.input, normed: participation.normed ?? null },
        norm: { input: norms.input, normed: norms.normed ?? null, key: keyNorm ?? null, value: valueNorm },
      })),
    };
  },
});
