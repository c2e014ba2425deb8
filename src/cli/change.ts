/** `--set` of analyze: a change to activations in words, as in "block=2 tokens=massive dims=massive to=zero". */
import { InvalidArgumentError } from 'commander';
import { points } from '../engine/contract/interventions.js';
import { type Change, changeInputs, changeOf, changeProblem } from '../experiments/intervene/change.js';
import { checkedValues, isNeeded, valueIn } from '../experiments/values.js';

const form = 'block=<k|onset|every> point=<point> tokens=<…|all|first|massive|sink> dims=<…|all|massive> to=<setting>';

/** @throws InvalidArgumentError that says what is wrong and how it is written */
export function parseChange(text: string, before: readonly Change[] = []): Change[] {
  const parts = new Map<string, string>();
  for (const part of text.trim().split(/\s+/)) {
    const [key = '', value = '', ...more] = part.split('=');
    if (!['block', 'point', 'tokens', 'dims', 'to', 'seed'].includes(key) || value === '' || more.length > 0)
      throw wrong(`"${part}" is not one of its parts`);
    parts.set(key, value);
  }
  const { to = '', ...where } = Object.fromEntries(parts);
  const [set = '', amount, ...more] = to.split(':');
  const given: Readonly<Record<string, string | undefined>> = { ...where, set, amount };
  for (const [name, input] of Object.entries(changeInputs)) {
    const words = given[name];
    if (words !== undefined && valueIn(input, words) === undefined) throw wrong(reason(name, words));
  }
  if ((amount !== undefined) !== isNeeded(changeInputs, 'amount', given) || more.length > 0)
    throw wrong(reason('set', to));
  const change = changeOf(checkedValues(changeInputs, given));
  const problem = changeProblem(change);
  if (problem !== undefined) throw wrong(problem);
  return [...before, change];
}

/** What a part that is called so has to be. */
function reason(name: string, words: string): string {
  switch (name) {
    case 'set':
    case 'amount':
      return 'to is zero, mean, value:<x>, scale:<factor> or noise:<deviation>';
    case 'point':
      return `a point is one of ${points.join(', ')}`;
    case 'tokens':
    case 'dims':
      return `a token or dim is a whole number from 0 on, not "${words}"`;
    default:
      return `${name} is a whole number from 0 on, not "${words}"`;
  }
}

function wrong(why: string): InvalidArgumentError {
  return new InvalidArgumentError(`It is ${form}; ${why}.`);
}
