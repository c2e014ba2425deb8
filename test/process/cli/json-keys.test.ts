/**
 * The JSON forms are public: the keys that each subcommand prints, and what is behind them, are kept in `json-keys/`.
 * A key that is there on purpose is added by `npx vitest run test/process/cli/json-keys.test.ts -u`, and in docs/json.md.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { experiments } from '../../../src/experiments/catalogue.js';
import { temporaryFolder } from '../../support/files.js';
import { fixture, path, printed } from './here.js';

const folder = await temporaryFolder();
const text = ['--file', path('test/text/three-men-in-a-boat.md')];
/** Its means are taken in as many windows as it fills, however short these are. */
const short = join(folder, 'short.md');
await writeFile(short, (await readFile(path('test/text/pit-and-pendulum.md'), 'utf8')).slice(0, 600));
const other = ['--calibrate', short];
const small = ['--tokens', '40', '--window', '16'];
const words = ['--text', 'Summer is warm. Winter is cold.'];
const corpus = [...text, '--sequences', '2', '--length', '16'];
const pixels = [0, 1].map((i) => path(`test/references/pixels/${i}.safetensors`));
const graph = 'gnn-ts-op17';
const translator = path('test/zoo/families/towers-t5-ts17-decoder/model.onnx');
const sentences = path('test/zoo/families/towers-t5-ts17-decoder/golden.safetensors');
const classifier = path('test/zoo/families/head-bert-ner/model.onnx');
const experts = path('test/references/experts/einsum/model.onnx');

/** By subcommand, what is shortest and has all keys. */
const commands: Readonly<Record<string, readonly string[]>> = {
  inspect: ['llama'],
  'inspect --stream': [translator, '--stream', 'decoder'],
  analyze: ['llama', ...words],
  'analyze --ids': [classifier, '--ids', '5,6,7,8'],
  'analyze --stream': [translator, '--stream', 'decoder', '--feeds', sentences],
  'analyze --ids of experts': [experts, '--ids', '31,39,85,58'],
  'inspect --json of experts': [experts],
  'analyze --set': ['llama', ...words, '--set', 'to=mean', ...other],
  explain: ['llama', ...words, '--token', '0', '--layer', '2', '--head', '1'],
  intervene: ['llama', ...words, '--to', 'mean', ...other],
  generate: ['llama', '--text', 'The cat sat on the', '--tokens', '9'],
  patch: ['llama', '--clean', 'The king went to', '--corrupt', 'The boat went to', '--answers', ' his', ' the'],
  ablate: ['llama', ...words, '--set', 'mean', ...other, '--answers', ' his', ' the'],
  steer: [
    'llama',
    ...words,
    ...['--positive', path('test/text/steer/positive.txt'), '--negative', path('test/text/steer/negative.txt')],
    ...['--layer', '4'],
  ],
  perplexity: ['llama', ...text, ...small],
  interventions: ['llama', ...text, ...other, ...small],
  survey: ['llama', ...corpus],
  bias: ['llama', ...words],
  domains: ['llama', ...corpus, '--against', path('test/text/pit-and-pendulum.md')],
  compare: ['llama', 'llama-bias', ...text, ...small],
  weights: ['llama', ...text, ...other, ...small],
  cancelling: ['llama', ...words],
  outliers: ['llama', ...text, '--tokens', '16'],
  precision: ['llama', ...text, '--tokens', '16'],
  'compare-quantised': ['llama', 'llama', ...text, ...small],
  doctor: ['llama', ...text, ...other, ...small, '--scheme', 'int8-static'],
  lens: ['llama', ...words],
  gradients: ['llama', ...words, '--of', 'h:2,0,239'],
  activation: [
    'llama',
    ...words,
    ...['--sequences', '2', '--length', '4', '--against', path('test/text/pit-and-pendulum.md'), '--prune', '0.1'],
  ],
  streaming: ['llama', ...text, '--tokens', '40', '--length', '16', '--window', '8', '--sinks', '2'],
  prefix: ['llama-sink', ...text, '--tokens', '40', '--window', '16'],
  vision: [fixture('dinov2_with_registers-dynamo-op18'), '--feeds', ...pixels],
  ratios: [fixture(graph), fixture(graph), '--feeds', fixture(graph, 'golden.safetensors')],
};

const command = (name: string) => name.split(' ').slice(0, 1);

/** What a command gave, by its name: two are asked for again. */
const given = new Map<string, Promise<string>>();
const resultOf = async (name: string) => {
  const result = given.get(name) ?? printed(...command(name), ...(commands[name] ?? []), '--json');
  given.set(name, result);
  return JSON.parse(await result);
};

it.each(Object.keys(commands))('%s', async (name) => {
  const result = await resultOf(name);
  await expect(`${keysOf(result).join('\n')}\n`).toMatchFileSnapshot(
    `json-keys/${name.replace(' --', '-').replaceAll(' ', '-')}.txt`,
  );
});

it('merge', async () => {
  const part = join(folder, 'part.json');
  await printed('survey', 'llama', ...corpus, '--save', part);
  const result = JSON.parse(await printed('merge', part, '--json'));
  await expect(`${keysOf(result).join('\n')}\n`).toMatchFileSnapshot('json-keys/merge.txt');
});

it('finetune', async () => {
  const steps = ['--tokens', '40', '--window', '16', '--steps', '2', '--batch', '1', '--macdrop', '0.5', '--compare'];
  const result = JSON.parse(
    await printed('finetune', 'llama', ...text, ...steps, '--save', join(folder, 't'), '--json'),
  );
  await expect(`${keysOf(result).join('\n')}\n`).toMatchFileSnapshot('json-keys/finetune.txt');
});

it('no experiment is left out', () => {
  const ids = experiments.map(({ id }) => id);
  expect([...Object.keys(commands), 'merge', 'finetune']).toEqual(expect.arrayContaining(ids));
});

it('the command that one experiment is and the option that is like it print the same', async () => {
  const [one, two] = await Promise.all(['intervene', 'analyze --set'].map(resultOf));
  for (const key of ['changes', 'interventions', 'calibration', 'massive_activations', 'predictions', 'conclusion'])
    expect(one[key], key).toEqual(two[key]);
});

/** Every path of a value with what is there: `rows[].name string`. Elements of an array are one. */
function keysOf(value: unknown): string[] {
  const kinds = new Map<string, Set<string>>();
  const visit = (path: string, value: unknown) => {
    if (Array.isArray(value)) for (const element of value) visit(`${path}[]`, element);
    else if (typeof value === 'object' && value !== null)
      for (const [key, inner] of Object.entries(value)) visit(path === '' ? key : `${path}.${key}`, inner);
    const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
    if (path !== '') kinds.set(path, (kinds.get(path) ?? new Set()).add(kind));
  };
  visit('', value);
  return [...kinds].map(([path, found]) => `${path} ${[...found].sort().join(' or ')}`).sort();
}
