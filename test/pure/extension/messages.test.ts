import { describe, expect, it } from 'vitest';
import { experiments } from '../../../src/experiments/catalogue.js';
import { parseFromWebview } from '../../../src/extension/messages.js';
import { toWebview } from '../../../webview/messages.js';

describe('parseFromWebview', () => {
  it.each([
    { type: 'ready' },
    { type: 'select', selection: { token: 3, layer: 0 } },
    { type: 'query', id: 4, query: { type: 'pattern', layer: 2, head: 0 } },
    { type: 'save-picture', name: 'heatmap', png: new Uint8Array([1, 2]) },
    {
      type: 'experiment',
      action: { do: 'run', experiment: 'perplexity', values: { window: 64, mid: true, models: ['a', 'b'] } },
    },
    { type: 'experiment', action: { do: 'choose-text', experiment: 'lens', input: 'text' } },
    { type: 'experiment', action: { do: 'save-csv', run: 3, part: 0 } },
  ])('takes $type', (message) => {
    expect(parseFromWebview(message)).toEqual(message);
  });

  it.each([
    [undefined],
    ['ready'],
    [{ type: 'run', command: 'rm' }],
    [{ type: 'ready', extra: 1 }],
    [{ type: 'select', selection: { token: -1 } }],
    [{ type: 'select', selection: { token: 1.5 } }],
    [{ type: 'query', id: 0, query: { type: 'file', path: '/etc/passwd' } }],
    [{ type: 'choose-bos', bos: 'maybe' }],
    [{ type: 'save-picture', name: 'x', png: 'not bytes' }],
    [
      {
        type: 'experiment',
        action: { do: 'run', experiment: 'perplexity', values: { text: { name: 'a', text: 'b' } } },
      },
    ],
    [{ type: 'experiment', action: { do: 'save-csv', run: 3, part: -1 } }],
    [{ type: 'experiment', action: { do: 'save-json', run: 3, file: '/etc/passwd' } }],
  ])('refuses %j', (message) => {
    expect(parseFromWebview(message)).toBeUndefined();
  });
});

describe('an experiment', () => {
  const told = (experiments: unknown) => {
    return { type: 'experiments', message: { kind: 'choices', experiments, texts: { documents: {}, chosen: {} } } };
  };

  it.each(experiments.map(({ run, ...facts }) => [facts.id, facts] as const))('%s arrives as it is', (_, facts) => {
    expect(toWebview(told([facts]))).toEqual(told([facts]));
  });

  it('is refused with an input of which the form makes nothing', () => {
    const [facts] = experiments;
    const colour = { kind: 'colour', label: 'Colour', flag: '--colour <x>', help: 'a colour' };
    expect(toWebview(told([{ ...facts, inputs: { colour } }]))).toBeUndefined();
  });
});
