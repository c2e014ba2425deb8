/** `--set` of analyze: a change to activations in words, as in "block=2 tokens=massive dims=massive to=zero". */
import { InvalidArgumentError } from 'commander';
import { points, type Setting, settingProblem } from '../engine/contract/interventions.js';
import { type Change, dimsByDefault } from '../experiments/shared/selectors.js';

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
  const point = points.find((candidate) => candidate === (parts.get('point') ?? 'resid_post'));
  if (point === undefined) throw wrong(`a point is one of ${points.join(', ')}`);
  const change: Change = {
    point,
    block: word(parts.get('block') ?? 'onset', ['onset', 'every']) ?? index('block', parts.get('block')),
    tokens: word(parts.get('tokens') ?? 'massive', ['all', 'first', 'massive', 'sink']) ?? list(parts.get('tokens')),
    dims: word(parts.get('dims') ?? dimsByDefault(point), ['all', 'massive']) ?? list(parts.get('dims')),
    set: setting(parts.get('to'), parts.get('seed')),
  };
  return [...before, change];
}

function setting(to: string | undefined, seed: string | undefined): Change['set'] {
  const [kind, amount] = to?.split(':') ?? [];
  if ((kind === 'zero' || kind === 'mean') && amount === undefined) return { to: kind };
  const number = Number(amount || Number.NaN);
  if (Number.isFinite(number)) {
    if (kind === 'value') return possible({ to: kind, value: number });
    if (kind === 'scale') return possible({ to: kind, by: number });
    if (kind === 'noise') return possible({ to: kind, deviation: number, seed: index('seed', seed ?? '0') });
  }
  throw wrong('to is zero, mean, value:<x>, scale:<factor> or noise:<deviation>');
}

function possible(set: Setting): Setting {
  const problem = settingProblem(set);
  if (problem !== undefined) throw wrong(problem);
  return set;
}

function word<const Word extends string>(value: string, words: readonly Word[]): Word | undefined {
  return words.find((candidate) => candidate === value);
}

function list(value = ''): number[] {
  return value.split(',').map((part) => index('a token or dim', part));
}

function index(what: string, value = ''): number {
  if (!/^\d{1,9}$/.test(value)) throw wrong(`${what} is a whole number from 0 on, not "${value}"`);
  return Number(value);
}

function wrong(why: string): InvalidArgumentError {
  return new InvalidArgumentError(`It is ${form}; ${why}.`);
}
