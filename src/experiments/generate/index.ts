import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { definitionJson, promptJson } from '../shared/json.js';
import { writeOn } from './compute.js';
import { presentWriting } from './present.js';
import { secondarySinks } from './secondary.js';

export const generate = define({
  id: 'generate',
  title: 'Writing on',
  about: 'inside',
  command: 'Write On',
  description: 'What the model writes behind the text, and what sinks and massive activations do meanwhile.',
  help: 'let the model write on, and show surprisal, massive activations and sinks of every new token',
  inputs: {
    model: shared.model,
    text: { ...shared.prompt, document: 'open' },
    tokens: {
      kind: 'whole',
      label: 'New tokens',
      flag: '--tokens <N>',
      help: 'how many tokens are written at most',
      unit: 'tokens',
      least: 1,
      most: 4096,
      default: 32,
    },
    temperature: {
      kind: 'number',
      label: 'Temperature',
      flag: '--temperature <t>',
      help: 'what logits are divided by; 0: always the most likely token',
      least: 0,
      most: 100,
      default: 0,
    },
    topK: {
      kind: 'whole',
      label: 'Top k',
      flag: '--top-k <k>',
      help: 'draw from the k most likely tokens only; 0: from all',
      least: 0,
      default: 0,
    },
    topP: {
      kind: 'number',
      label: 'Top p',
      flag: '--top-p <p>',
      help: 'draw from the fewest of the most likely tokens that reach this probability together; 1: from all',
      least: 0.000001,
      most: 1,
      default: 1,
    },
    seed: { ...shared.seed, help: 'of what is drawn' },
  },
  run({ engine, ...setup }, { text, temperature, topK, topP, seed, ...values }, signal) {
    const sampling = { temperature, topK, topP, seed };
    const prompt = { text: text.text };
    return writeOn(engine, { ...setup, ...values, sampling, prompt }, signal);
  },
  present: presentWriting,
  json({ model, begun, sampling, thresholds, asked, written, ended, text: added, cache, problem }, { text }) {
    const { prompt, bos, heads } = begun;
    return {
      model,
      prompt: promptJson(text),
      bos: bos ?? null,
      T: prompt.tokens.length,
      total: prompt.total,
      prompt_ids: prompt.tokens.map(({ id }) => id),
      asked,
      sampling: { temperature: sampling.temperature, top_k: sampling.topK, top_p: sampling.topP, seed: sampling.seed },
      definition: { ...definitionJson(thresholds), epsilon: thresholds.epsilon },
      heads,
      ids: written.map(({ id }) => id),
      text: added,
      ended,
      problem: problem ?? null,
      cache: cache ? { tokens: cache.tokens, bytes: cache.bytes, without: cache.without ?? null } : null,
      secondary: secondarySinks(begun, written, thresholds),
      tokens: written.map(({ id, text, surprisal, entropy, alternatives, massive, largest, sinks }) => ({
        id,
        text,
        surprisal,
        entropy,
        alternatives,
        massive,
        largest,
        sinks: sinks.map((sink) => ({ token: sink.token, heads: sink.heads, alpha: [...sink.alpha] })),
      })),
    };
  },
});
