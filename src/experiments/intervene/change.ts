/** A change to activations as people describe it: in the fields of the experiment, or in the words of `analyze --set`. */
import { isOfStream, type Point, points, type Setting, settingProblem } from '../../engine/contract/interventions.js';
import type { InputValues } from '../values.js';

export interface Change {
  readonly point: Point;
  /** Block k, 1-based; `onset`: the one that leaves the strongest massive activation; `every`: 1 to L. */
  readonly block: number | 'onset' | 'every';
  readonly tokens: 'all' | 'first' | 'massive' | 'sink' | readonly number[];
  readonly dims: 'all' | 'massive' | readonly number[];
  readonly set: Setting | { readonly to: 'mean' };
}

export const changeInputs = {
  set: {
    kind: 'choice',
    label: 'Set to',
    flag: '--to <setting>',
    help: 'what activations are set to, scaled or disturbed by',
    choices: ['zero', 'mean', 'value', 'scale', 'noise'],
    ask: {
      question: 'What to do with the massive activations',
      titles: {
        zero: 'Set to zero',
        mean: 'Set to their mean over a calibration text',
        value: 'Set to a value…',
        scale: 'Scale…',
        noise: 'Add noise of a standard deviation…',
      },
    },
  },
  amount: {
    kind: 'number',
    label: 'Value, factor or deviation',
    flag: '--amount <x>',
    help: 'the value, the factor or the standard deviation',
    neededFor: { input: 'set', is: ['value', 'scale', 'noise'] },
  },
  seed: {
    kind: 'whole',
    label: 'Seed (of noise)',
    flag: '--seed <n>',
    help: 'the seed of the noise',
    least: 0,
    default: 0,
    neededFor: { input: 'set', is: ['noise'] },
  },
  tokens: {
    kind: 'indices',
    label: 'Tokens',
    flag: '--tokens <indices>',
    help: 'the tokens, as in 0,3, or all, first, massive, sink',
    words: ['all', 'first', 'massive', 'sink'],
    default: 'massive',
    takes: 'token',
  },
  dims: {
    kind: 'indices',
    label: 'Dims',
    flag: '--dims <indices>',
    help: 'the dims, as in 87,239, or all, massive',
    words: ['all', 'massive'],
    open: 'massive; of z and mlp all',
    takes: 'dim',
  },
  block: {
    kind: 'indices',
    label: 'Block',
    flag: '--block <k>',
    help: 'the block, counted from 1 (0: the embedding), or onset, every',
    words: ['onset', 'every'],
    most: 1,
    default: 'onset',
    takes: 'layer',
  },
  point: {
    kind: 'choice',
    label: 'Point',
    flag: '--point <point>',
    help: 'where in the block',
    choices: ['resid_post', ...points.filter((point) => point !== 'resid_post')],
  },
} as const;

/** What dims are meant where none are named: massive ones, which are dims of the residual stream. */
export const dimsByDefault = (point: Point): 'all' | 'massive' => (isOfStream(point) ? 'massive' : 'all');

/** The change that was described. */
export function changeOf({ set, amount, seed, ...where }: InputValues<typeof changeInputs>): Change {
  const { point, block, tokens, dims = dimsByDefault(point) } = where;
  const [only] = typeof block === 'string' ? [block] : block;
  return { point, block: only ?? 'onset', tokens, dims, set: settingOf(set, amount ?? 0, seed) };
}

function settingOf(set: InputValues<typeof changeInputs>['set'], amount: number, seed: number): Change['set'] {
  switch (set) {
    case 'zero':
    case 'mean':
      return { to: set };
    case 'value':
      return { to: 'value', value: amount };
    case 'scale':
      return { to: 'scale', by: amount };
    case 'noise':
      return { to: 'noise', deviation: amount, seed };
  }
}

/** Why activations cannot be set so, in words; undefined where they can. */
export function changeProblem({ set }: Change): string | undefined {
  return set.to === 'mean' ? undefined : settingProblem(set);
}
