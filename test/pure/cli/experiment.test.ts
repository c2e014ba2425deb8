import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { experimentCommand } from '../../../src/cli/experiment.js';
import { defaultBudget } from '../../../src/engine/host/budget.js';
import { SinkscopeError } from '../../../src/errors.js';
import { define, type Setup } from '../../../src/experiments/experiment.js';
import type { ExperimentInput } from '../../../src/experiments/facts.js';
import type { NamedText } from '../../../src/experiments/values.js';

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
  file = join(folder, 'one.txt');
  await writeFile(file, 'One text.');
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const model = { kind: 'model', label: 'Model', flag: '<model>', help: 'a model' } as const;

/** An experiment that gives back what it was given, with an input of most kinds. */
const echo = define({
  id: 'echo',
  title: 'Echo',
  about: 'massive',
  command: 'Echo',
  description: 'What was given.',
  help: 'give back what was given',
  saves: 'write what was given',
  inputs: {
    model,
    other: { ...model, flag: '<other>' },
    text: { kind: 'text', label: 'Text', flag: '--file <path>', help: 'a text', prompt: true },
    window: {
      kind: 'whole',
      label: 'Size',
      flag: '--size <tokens>',
      help: 'size',
      least: 2,
      unit: 'tokens',
      default: 8,
    },
    most: { kind: 'whole', label: 'Most', flag: '--most <n>', help: 'most', least: 1, most: 3, open: 'all' },
    share: { kind: 'number', label: 'Share', flag: '--share <x>', help: 'share', least: 0, most: 1, open: 'none' },
    mode: { kind: 'choice', label: 'Mode', flag: '--mode <word>', help: 'mode', choices: ['plain', 'odd'] },
    mid: { kind: 'switch', label: 'Mid', flag: '--mid', help: 'mid' },
    tokens: { kind: 'indices', label: 'Tokens', flag: '--tokens <i>', help: 'which', words: ['all'], default: 'all' },
    pair: { kind: 'pair', label: 'Pair', flag: '--pair <tokens...>', help: 'two', open: 'none' },
    odd: {
      kind: 'words',
      label: 'Odd',
      flag: '--odd-word <word>',
      help: 'odd',
      neededFor: { input: 'mode', is: ['odd'] },
    },
  },
  async *run({ engine: _, ...setup }, values) {
    yield { phase: 'echoing', done: 1, of: 2 };
    return { setup, values };
  },
  present: ({ values }) => ({
    title: 'Echo',
    sentence: `Given: ${values.text.name}.`,
    settings: [{ name: 'size', value: `${values.window}` }],
    warnings: ['It is an echo.'],
    parts: [
      {
        kind: 'table',
        heading: 'Tokens',
        columns: [{ name: 'which' }, { name: 'share', format: 'share' }],
        rows: [
          ['all', 0.5],
          ['the others', 0.25],
        ],
      },
    ],
  }),
  json: (result) => result,
  file: ({ values }) => ({ window: values.window }),
});

/** None of these experiments runs anything. What is asked of the engine is how it fills the inputs of a model. */
const engineOf = (...inputs: readonly { name: string; how: string; guessed: boolean }[]) =>
  ({
    device: 'cpu',
    computedOn: [],
    inspect: async () => ({ model: { name: 'a model', remarks: [] }, anatomy: { inputs } }),
  }) as unknown as Setup['engine'];
let engine = engineOf();

/** Stops what runs. */
let stopping = new AbortController();

/** What a command line prints, and why it was refused. */
async function run(experiment: typeof echo, ...words: readonly string[]) {
  const written = { stdout: '', stderr: '' };
  const take = (stream: 'stdout' | 'stderr') =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      written[stream] += text;
      return true;
    });
  const spies = [take('stdout'), take('stderr')];
  const command = experimentCommand(experiment, engine, stopping.signal);
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  try {
    await command.parseAsync(words, { from: 'user' });
    return { ...written, problem: '' };
  } catch (error) {
    return { ...written, problem: (error as CommanderError).message };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

interface Echoed {
  readonly setup: Omit<Setup, 'engine'>;
  readonly values: Readonly<Record<string, unknown>> & { readonly text: NamedText };
  readonly warnings: readonly string[];
  readonly conclusion: string;
}
async function echoed(...words: readonly string[]): Promise<Echoed> {
  const { stdout, problem } = await run(echo, file, file, '--json', ...words);
  if (problem !== '') throw new Error(problem);
  return JSON.parse(stdout);
}

describe('arguments and options', () => {
  it.each([
    ['as two words', [' yes', ' no']],
    ['as one with a comma', [' yes, no']],
  ])('a pair is given %s', async (_, words) => {
    expect((await echoed('--file', file, '--pair', ...words)).values.pair).toEqual([' yes', ' no']);
  });

  it('are read by their kind, and have their defaults', async () => {
    const { values, setup } = await echoed('--text', 'Some words');
    expect(values).toEqual({
      model: file,
      other: file,
      text: { name: '"Some words"', text: 'Some words' },
      window: 8,
      mode: 'plain',
      mid: false,
      tokens: 'all',
    });
    expect(setup).toMatchObject({ memory: defaultBudget(), threads: 0 });
    const words = ['--size', '2', '--most', '3', '--share', '0.5', '--mode', 'odd', '--mid', '--tokens', '0,3'];
    const given = await echoed('--file', file, ...words, '--odd-word', ' the', '--window', 'last', '--no-bos');
    expect(given.values).toEqual({
      model: file,
      other: file,
      text: { name: file, file, text: 'One text.' },
      window: 2,
      most: 3,
      share: 0.5,
      mode: 'odd',
      mid: true,
      tokens: [0, 3],
      odd: ' the',
    });
    expect(given.setup).toMatchObject({ bos: false, part: 'last' });
  });

  it.each([
    [['--size', '1'], 'It is a whole number of tokens, from 2 on.'],
    [['--most', '4'], 'It is a whole number from 1 to 3.'],
    [['--share', '1.5'], 'It is a number from 0 to 1.'],
    [['--tokens', 'some'], 'They are whole numbers from 0 on, as in 0,3,17, or all.'],
    [['--mode', 'even'], 'Allowed choices are plain, odd.'],
    [['--mode', 'odd'], 'Odd: it is a word or more; odd needs it.'],
    [['--file', 'x'], "option '--text <text>' cannot be used with option '--file <path>'"],
  ])('outside their bounds are refused with what they have to be: %j', async (words, why) => {
    const { problem, stdout } = await run(echo, file, file, '--text', 'a', ...words);
    expect(problem).toContain(why);
    expect(stdout).toBe('');
  });

  it('that are needed are asked for', async () => {
    expect((await run(echo, file, '--text', 'a')).problem).toContain("missing required argument 'other'");
    expect((await run(echo, file, file)).problem).toBe('There is no text: give --text or --file.');
    const text: ExperimentInput = { kind: 'text', label: 'Text', flag: '--file <path>', help: 'a text' };
    const read = { ...echo, inputs: { ...echo.inputs, text } };
    expect((await run(read, file, file)).problem).toContain("required option '--file <path>' not specified");
  });
});

describe('of several', () => {
  const several = define({
    id: 'several',
    title: 'Several',
    about: 'massive',
    command: 'Several',
    description: 'Several.',
    help: 'several',
    inputs: {
      texts: { kind: 'texts', label: 'Texts', flag: '--file <path>', help: 'texts', typed: true },
      files: {
        kind: 'files',
        label: 'Files',
        flag: '--pictures <paths...>',
        help: 'pictures',
        also: { flag: '--feeds <paths...>', help: 'feeds' },
        one: 'picture',
        extensions: ['png'],
      },
      parts: { kind: 'files', label: 'Parts', flag: '<parts...>', help: 'parts', one: 'part', extensions: ['json'] },
    },
    // biome-ignore lint/correctness/useYield: there is nothing to wait for
    async *run(_, { texts, ...files }) {
      const all: NamedText[] = [];
      for await (const text of texts.texts) all.push(text);
      return { ...files, name: texts.name, texts: all };
    },
    present: () => ({ title: '', sentence: '', settings: [], warnings: [], parts: [] }),
    json: (result) => result,
  });

  it('texts and files all are taken, in their order', async () => {
    const words = [
      'a.json',
      'b.json',
      '--text',
      'One',
      '--file',
      file,
      '--text',
      'Two',
      '--pictures',
      'a.png',
      'b.png',
    ];
    const { stdout, problem } = await run(several, ...words, '--json');
    expect(problem).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      name: `text 1, text 2, ${file}`,
      texts: [
        { name: 'text 1', text: 'One' },
        { name: 'text 2', text: 'Two' },
        { name: file, file, text: 'One text.' },
      ],
      files: ['a.png', 'b.png'],
      parts: ['a.json', 'b.json'],
    });
  });

  it('one way is enough, and both are said where there is none', async () => {
    const { stdout } = await run(several, 'a.json', '--text', 'One', '--json', '--feeds', 'a.npz');
    expect(JSON.parse(stdout).files).toEqual(['a.npz']);
    expect((await run(several, 'a.json', '--text', 'One')).problem).toBe(
      'There is no picture: give --pictures or --feeds.',
    );
    expect((await run(several, 'a.json', '--feeds', 'a.npz')).problem).toBe('There is no text: give --text or --file.');
  });
});

describe('a result', () => {
  it('is printed in words: sentence, tables, settings, warnings', async () => {
    const { stdout } = await run(echo, file, file, '--text', 'a');
    expect(stdout).toBe(`Given: "a".

Tokens
  which        share
  all         50.0 %
  the others  25.0 %

size 8
It is an echo.
`);
  });

  it('is printed as JSON, with sentence and warnings, which are on stderr too', async () => {
    const { stdout, stderr } = await run(echo, file, file, '--text', 'a', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ warnings: ['It is an echo.'], conclusion: 'Given: "a".' });
    expect(stderr).toBe('It is an echo.\n');
  });

  it('warns of inputs that were filled by a guess', async () => {
    engine = engineOf({ name: 'ids', how: 'ids', guessed: false }, { name: 'bbox', how: 'zeros', guessed: true });
    try {
      const { stderr } = await run(echo, file, file, '--text', 'a', '--json');
      const warning = 'Nobody gave the input bbox of a model, and how it was filled is a guess: zeros.';
      expect(stderr).toBe(`It is an echo.\n${warning}\n`);
    } finally {
      engine = engineOf();
    }
  });

  it('is saved in its own form', async () => {
    const save = join(folder, 'saved.json');
    await run(echo, file, file, '--text', 'a', '--save', save);
    expect(JSON.parse(await readFile(save, 'utf8'))).toEqual({ window: 8 });
    const { problem } = await run(echo, file, file, '--text', 'a', '--save', join(folder, 'none', 'saved.json'));
    expect(problem).toMatch(/saved\.json cannot be written: the folder .* does not exist/);
  });
});

it('what was known when a run was stopped is printed, and said not to be all', async () => {
  const { run: _, ...facts } = echo;
  const halted: typeof echo = {
    ...facts,
    inputs: {},
    async *run() {
      const presentation = { title: 'Echo', sentence: 'So far 63.', settings: [], warnings: ['But.'], parts: [] };
      yield { phase: 'window', done: 1, of: 5 };
      yield { phase: 'window', done: 2, of: 5, presentation, json: { value: 63 } };
      stopping.abort();
      throw new SinkscopeError({ code: 'cancelled', message: 'The experiment was stopped.' });
    },
  };
  const warning = 'Stopped at window 2 of 5: these are the figures by then.';
  try {
    const words = await run(halted);
    expect(words.problem).toBe('The experiment was stopped.');
    expect(words.stdout).toBe(`So far 63.\n\n\nBut.\n${warning}\n`);
    stopping = new AbortController();
    const { stdout } = await run(halted, '--json');
    expect(JSON.parse(stdout)).toEqual({ value: 63, warnings: ['But.', warning], conclusion: 'So far 63.' });
  } finally {
    stopping = new AbortController();
  }
});

it('a model that is not there is refused', async () => {
  const { problem } = await run(echo, 'no-such-model', file, '--text', 'a');
  expect(problem).toMatch(/no bundled model called "no-such-model"/);
});
