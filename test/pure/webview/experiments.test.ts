import { expect, it } from 'vitest';
import recorded from '../../../webview/dev/runs/experiments.json';
import { toWebview } from '../../../webview/messages.js';

it('every experiment arrives with all that the form is made of', () => {
  const message = { type: 'experiments', message: recorded.choices };
  expect(toWebview(message)).toEqual(message);
});

it('an input of another kind is none that the form knows', () => {
  const [first] = recorded.choices.experiments;
  const experiments = [
    { ...first, inputs: { colour: { kind: 'colour', label: 'Colour', flag: '--colour', help: '' } } },
  ];
  expect(toWebview({ type: 'experiments', message: { ...recorded.choices, experiments } })).toBeUndefined();
});
