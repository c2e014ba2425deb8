/** What is disturbed, and how: rounds as data, each by its kind and seed. */
import fc from 'fast-check';
import { path } from './case.js';
import { spread } from './damage.js';

/** A command that saves a result; paths are relative to the place's current directory. */
export interface Action {
  readonly args: readonly string[];
  readonly result: string;
  /** Files that it reads, by name in the place. */
  readonly given: Readonly<Record<string, string>>;
}

const model = '../given/model.onnx';
const llama = Object.fromEntries(
  ['model.onnx', 'tokenizer.json', 'tokenizer_config.json', 'config.json'].map((name) => [
    name,
    path(`media/models/llama/${name}`),
  ]),
);
const texts = { 'text.md': path('media/sample.md'), 'other.md': path('test/text/pit-and-pendulum.md') };

const action = (command: string, result: string, given: Action['given']): Action => ({
  args: [...command.split(' '), '--save', `../out/${result}`],
  result,
  given,
});

export const actions: Readonly<Record<string, Action>> = {
  merge: action('merge ../given/0.json ../given/1.json', 'result.json', {}),
  analyze: action(
    `analyze ${model} --threads 1 --file ../given/short.md --attention --mlp --logits`,
    'result.safetensors',
    llama,
  ),
  survey: action(`survey ${model} --threads 1 --file ../given/text.md --sequences 4 --length 16`, 'result.json', {
    ...llama,
    ...texts,
  }),
  weights: action(
    `weights ${model} --threads 1 --file ../given/text.md --calibrate ../given/other.md --window 8 --tokens 8 --k 1`,
    'result.json',
    { ...llama, ...texts },
  ),
};

/** One disturbance of one command. */
export interface Round {
  readonly action: string;
  /** Whether there is a result of an earlier run. */
  readonly old: boolean;
  readonly fault: Fault;
}

export type Fault =
  /** The `at`-th operation on the disk, from 1; see faults.c. */
  | { readonly kind: 'turn'; readonly at: number; readonly how: string }
  /** Moments are parts of the time that an undisturbed run takes. */
  | { readonly kind: 'kill'; readonly victim: Victim; readonly signal: NodeJS.Signals; readonly moment: number }
  /** Room for a part of the result. */
  | { readonly kind: 'disk'; readonly by: 'tmpfs' | 'limit'; readonly part: number }
  | { readonly kind: 'output'; readonly stream: 'stdout' | 'stderr' }
  | { readonly kind: 'change'; readonly what: Change; readonly file: number; readonly moment: number }
  /** The command line is ended while its engine is at work in native code that does not come back. */
  | { readonly kind: 'orphan'; readonly signal: NodeJS.Signals };

export type Victim = (typeof victims)[number];
const victims = ['parent', 'child', 'both'] as const;
export type Change = (typeof changes)[number];
const changes = ['cut', 'removed', 'overwritten', 'result is a folder', 'no folder for results'] as const;
export const hows = ['28', '5', 'short', 'gone', 'kill', 'torn'] as const;

const moment = fc.integer({ min: 0, max: 110 }).map((percent) => percent / 100);

export const faults: Readonly<Record<string, fc.Arbitrary<Fault>>> = {
  kill: fc.record({
    kind: fc.constant('kill' as const),
    victim: fc.constantFrom(...victims),
    signal: fc.constantFrom('SIGKILL', 'SIGTERM'),
    moment,
  }),
  disk: fc.record({
    kind: fc.constant('disk' as const),
    by: fc.constantFrom('tmpfs' as const, 'limit' as const),
    part: fc.integer({ min: 0, max: 99 }).map((percent) => percent / 100),
  }),
  output: fc.record({
    kind: fc.constant('output' as const),
    stream: fc.constantFrom('stdout' as const, 'stderr' as const),
  }),
  change: fc.record({
    kind: fc.constant('change' as const),
    what: fc.constantFrom(...changes),
    file: fc.nat(10),
    moment,
  }),
  orphan: fc.record({
    kind: fc.constant('orphan' as const),
    signal: fc.constantFrom('SIGKILL' as const, 'SIGTERM' as const, 'SIGHUP' as const),
  }),
};

export function actionOf(name: string): Action {
  const found = actions[name];
  if (!found) throw new Error(`There is no action called ${name}; there are ${Object.keys(actions).join(', ')}.`);
  return found;
}

/** The round of a seed. Turns go through all ways, then all actions, then all operations. */
export function roundOf(kind: string, seed: number): Round {
  const names = Object.keys(actions);
  if (kind === 'turn') {
    const [how, name] = [hows[seed % hows.length], names[Math.floor(seed / hows.length) % names.length]];
    const at = 1 + Math.floor(seed / hows.length / names.length);
    return { action: name ?? '', old: at % 2 === 0, fault: { kind, at, how: how ?? '' } };
  }
  const fault = faults[kind];
  if (!fault) throw new Error(`There is no fault called ${kind}; there are turn, ${Object.keys(faults).join(', ')}.`);
  const round = fc.record({ action: fc.constantFrom(...names), old: fc.boolean(), fault });
  const [one] = fc.sample(fc.noBias(round), { seed: spread(seed), numRuns: 1 });
  if (!one) throw new Error('no round was made');
  return one;
}
