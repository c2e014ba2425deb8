import { describe, expect, it } from 'vitest';
import { experiments } from '../../../src/experiments/catalogue.js';
import type { ExperimentInputs } from '../../../src/experiments/facts.js';
import { checkedValues, isAskedFor, valueIn } from '../../../src/experiments/values.js';
import { found } from '../../support/lists.js';

const text = { name: 'a', text: 'b' };
const inputsOf = (id: string) => found(experiments, (experiment) => experiment.id === id).inputs;

describe('what does not fit is said, with the field that it is in', () => {
  it.each([
    ['perplexity', {}, 'Text: choose a text.'],
    ['perplexity', { text, window: 1 }, 'Window (tokens): it is a whole number of tokens, from 2 on.'],
    ['perplexity', { text, tokens: 1.5 }, 'First tokens only: it is a whole number of tokens, from 1 on.'],
    ['interventions', { text, calibration: text, seed: -1 }, 'Seed: it is a whole number from 0 on.'],
    ['compare', { texts: { name: 'a', texts: [] }, models: 'llama' }, 'Models: choose models.'],
    ['survey', {}, 'Corpus: choose texts.'],
    ['ratios', { untrained: 'a', feeds: [], tail: 'half' }, 'Far end (share): it is a number.'],
    ['vision', {}, 'Images or pixel tensors: choose files.'],
    ['finetune', { text }, 'Save into: it is the path of a folder.'],
    ['intervene', { text, set: 'half' }, 'Set to: it is one of zero, mean, value, scale, noise.'],
    ['intervene', { text, dims: '12, x' }, 'Dims: they are whole numbers from 0 on, as in 0,3,17, or all, massive.'],
    ['intervene', { text, block: '1, 2' }, 'Block: it is a whole number from 0 on, or onset, every.'],
    ['intervene', { text, set: 'scale' }, 'Value, factor or deviation: it is a number; scale needs it.'],
    ['intervene', { text, set: 'mean' }, 'Calibration text (for means): choose a text; mean needs it.'],
    [
      'survey',
      { texts: { name: 'a', texts: [] }, shard: '1 of 2' },
      'Shard: it is a shard and their number, as in 0/4 … 3/4.',
    ],
  ])('%s, %j', (id, given, message) => {
    const check = () => checkedValues(inputsOf(id), { model: 'model.onnx', ...given });
    expect(check).toThrow(expect.objectContaining({ code: 'input', message }));
  });
});

it('what is left out has its default, and what may stay open stays so', () => {
  const model = 'model.onnx';
  expect(checkedValues(inputsOf('perplexity'), { model, text })).toEqual({
    model,
    text,
    window: 256,
    stride: undefined,
    tokens: undefined,
  });
  expect(checkedValues(inputsOf('intervene'), { model, text })).toMatchObject({
    set: 'zero',
    tokens: 'massive',
    block: 'onset',
    point: 'resid_post',
    dims: undefined,
    amount: undefined,
    calibration: undefined,
  });
  expect(checkedValues(inputsOf('lens'), { model, text, mid: true })).toMatchObject({ top: 3, mid: true });
  expect(checkedValues(inputsOf('patch'), { model }).answers).toEqual([' was', ' were']);
});

it('every experiment runs as it is set at first, but for what only its user has', () => {
  const open = { text, texts: { name: 'a', texts: [text] } };
  const missing = experiments.flatMap(({ id, inputs }) =>
    Object.entries(inputs).flatMap(([name, input]) => {
      const isMeant = input.kind === 'models' || input.kind === 'choice';
      return !isMeant && isAskedFor(inputs, name, open) ? [`${id}: ${input.label}`] : [];
    }),
  );
  expect(missing).toEqual([
    'merge: Parts',
    'finetune: Save into',
    'compare-quantised: Quantised file',
    'vision: Images or pixel tensors',
    'ratios: Untrained twin',
    'ratios: Graphs',
  ]);
});

it('a title in the palette ends in an ellipsis where a question follows, and nowhere else', () => {
  const asking = experiments.filter(({ inputs }) => Object.keys(inputs).some((name) => isAskedFor(inputs, name, {})));
  const titles = experiments.filter(({ command }) => command.endsWith('…'));
  expect(titles.map(({ id }) => id)).toEqual(asking.map(({ id }) => id));
});

describe('words', () => {
  const inputs = {
    indices: { kind: 'indices', label: 'I', flag: '--i <i>', help: 'i', words: ['all'] },
    one: { kind: 'indices', label: 'O', flag: '--o <i>', help: 'o', words: [], most: 1 },
    whole: { kind: 'whole', label: 'W', flag: '--w <n>', help: 'w', least: 2, most: 9 },
    number: { kind: 'number', label: 'N', flag: '--n <x>', help: 'n', least: -1, most: 1 },
    words: { kind: 'words', label: 'S', flag: '--s <s>', help: 's' },
    shard: { kind: 'words', label: 'P', flag: '--p <s>', help: 'p', pattern: { source: 'a|b', wanted: 'a or b' } },
  } as const satisfies ExperimentInputs;

  it.each([
    ['indices', '0, 3 17', [0, 3, 17]],
    ['indices', ' all ', 'all'],
    ['indices', 'some', undefined],
    ['indices', '1,-2', undefined],
    ['indices', '', undefined],
    ['one', '4', [4]],
    ['one', '4,5', undefined],
    ['whole', ' 9', 9],
    ['whole', '10', undefined],
    ['whole', '1', undefined],
    ['whole', '2.5', undefined],
    ['whole', '0x3', undefined],
    ['number', '-0.5', -0.5],
    ['number', '2', undefined],
    ['number', '', undefined],
    ['number', 'x', undefined],
    // A token may begin with a blank.
    ['words', ' the', ' the'],
    ['shard', 'b', 'b'],
    ['shard', 'ab', undefined],
  ] as const)('%s: %j is %j', (name, words, value) => {
    expect(valueIn(inputs[name], words)).toEqual(value);
  });
});
