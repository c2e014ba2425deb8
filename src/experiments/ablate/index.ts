import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { fileOf, promptJson } from '../shared/json.js';
import { ablateEach, type Scores } from './compute.js';
import { presentAblate } from './present.js';

export const ablate = define({
  id: 'ablate',
  title: 'Ablation of heads and MLPs',
  about: 'effect',
  command: 'Ablate Heads and MLPs',
  description: 'What a text’s loss becomes without each head, and without each MLP.',
  help: 'run a text without each head and each MLP in turn, and show what its loss becomes',
  inputs: {
    model: shared.model,
    text: { ...shared.prompt, document: 'analysed' },
    set: {
      kind: 'choice',
      label: 'Set to',
      flag: '--set <setting>',
      help: 'what heads and MLPs give in place of their own',
      choices: ['zero', 'mean'],
    },
    calibration: {
      kind: 'text',
      label: 'Calibration text (for means)',
      document: 'bundled',
      flag: '--calibrate <path>',
      help: 'the text that means are taken from',
      neededFor: { input: 'set', is: ['mean'] },
    },
    answers: { ...shared.answers, open: 'none' },
  },
  run({ engine, ...setup }, { text, calibration, ...values }, signal) {
    const texts = { text: text.text, calibrationText: calibration?.text };
    return ablateEach(engine, { ...setup, ...values, ...texts }, signal);
  },
  present: presentAblate,
  json(result, { text, calibration }) {
    const { model, set, calibrated, answers, asIs, heads, mlps, tokens, bos } = result;
    const scores = ({ loss, difference }: Scores) => ({ loss, difference: difference ?? null });
    return {
      model,
      ...promptJson(text),
      T: tokens.length,
      bos,
      tokens,
      set,
      calibration: calibration && calibrated > 0 ? { file: fileOf(calibration), sequences: calibrated } : null,
      answers: answers ?? null,
      as_is: scores(asIs),
      /** Blocks from 1, heads from 0. */
      heads: heads.map(({ block, head, ...rest }) => ({ layer: block, head, ...scores(rest) })),
      mlps: mlps.map(({ block, ...rest }) => ({ layer: block, ...scores(rest) })),
    };
  },
});
