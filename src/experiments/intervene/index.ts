import { define } from '../experiment.js';
import { shared } from '../shared/inputs.js';
import { changeInputs, changeOf } from './change.js';
import { runBeside } from './compute.js';
import { interveneJson } from './json.js';
import { presentIntervene } from './present.js';

export const intervene = define({
  id: 'intervene',
  title: 'Intervene',
  about: 'effect',
  command: 'Intervene…',
  description: 'One text as it is and with activations set to something else, side by side.',
  help: 'run a text as it is and with activations set to something else (several changes at once: sinkscope analyze --set)',
  inputs: {
    model: shared.model,
    text: { ...shared.prompt, document: 'analysed' },
    ...changeInputs,
    calibration: {
      kind: 'text',
      label: 'Calibration text (for means)',
      document: 'bundled',
      flag: '--calibrate <path>',
      help: 'the text that means are taken from',
      neededFor: { input: 'set', is: ['mean'] },
    },
  },
  run({ engine, part, ...setup }, { model, text, calibration, ...described }, signal) {
    const prompt = { text: text.text };
    const request = { ...setup, model, prompt, window: part, change: changeOf(described) };
    return runBeside(engine, { ...request, calibrationText: calibration?.text }, signal);
  },
  present: presentIntervene,
  json: (result, { calibration }) => interveneJson(result, calibration),
});
