import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { promptJson, runJson } from '../shared/json.js';
import { decidedAt, lookThrough, targetOf } from './compute.js';
import { presentLens } from './present.js';

export const lens = define({
  id: 'lens',
  title: 'Logit lens',
  about: 'inside',
  command: 'Logit Lens',
  description: 'What the model would predict from each layer, and which parts make its final prediction.',
  help: 'show what the model would predict from every layer, and which of its parts make a logit',
  inputs: {
    model: shared.model,
    text: shared.prompt,
    top: {
      kind: 'whole',
      label: 'Predictions',
      flag: '--top <n>',
      help: 'predictions of each token',
      unit: 'predictions',
      least: 1,
      default: 3,
    },
    mid: {
      kind: 'switch',
      label: 'Between attention and MLP too',
      flag: '--mid',
      help: 'between attention and MLP too',
    },
    token: {
      kind: 'whole',
      label: 'Explain what follows token',
      flag: '--token <index>',
      help: 'split the logit after this token',
      least: 0,
      open: 'last',
      takes: 'token',
    },
    target: {
      kind: 'words',
      label: 'Predicted token (text or id)',
      flag: '--target <token>',
      help: 'the predicted token, its id or its text',
      open: 'most likely',
    },
  },
  run({ engine, part, ...setup }, { text, target, ...values }, signal) {
    const explained = target === undefined ? undefined : targetOf(target);
    const request = { ...setup, ...values, target: explained, prompt: { text: text.text }, window: part };
    return lookThrough(engine, request, signal);
  },
  present: presentLens,
  json(result, { text }) {
    const { top, points, attribution } = result;
    return {
      ...runJson(result),
      ...promptJson(text),
      top,
      /** `rows[token]`: most likely first. */
      points,
      /** By token: the layer from which on its prediction is the final one. */
      decided_at: decidedAt(result),
      attribution: typeof attribution === 'string' ? { missing: attribution } : attribution,
    };
  },
});
