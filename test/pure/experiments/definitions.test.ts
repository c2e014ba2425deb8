import { Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { experiments } from '../../../src/experiments/catalogue.js';
import { commandOf, type ExperimentInput } from '../../../src/experiments/facts.js';
import { defaultOf, isNeeded, valueIn, wantedOf } from '../../../src/experiments/values.js';
import { found } from '../../support/lists.js';

/** What an input is called on the command line, all its ways. */
function namesOf(input: ExperimentInput): string[] {
  const also = input.kind === 'files' && input.also ? [input.also.flag] : [];
  const text = (input.kind === 'text' && input.prompt) || (input.kind === 'texts' && input.typed) ? ['--text'] : [];
  return [input.flag, ...also, ...text].map((flag) => (flag.startsWith('<') ? flag : new Option(flag).name()));
}

it('no two experiments have one name', () => {
  for (const name of [({ id }: { id: string }) => id, commandOf, ({ title }: { title: string }) => title]) {
    const names = experiments.map(name);
    expect(names).toEqual([...new Set(names)]);
  }
});

describe.each(experiments.map((experiment) => [experiment.id, experiment] as const))('%s', (id, experiment) => {
  const { run: _, ...facts } = experiment;
  const inputs = Object.entries(facts.inputs);

  it('is described by plain data', () => {
    expect(JSON.parse(JSON.stringify(facts))).toEqual(facts);
  });

  it('says what it is in the words of each place', () => {
    expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(facts.description).toMatch(/^[A-Z].*\.$/);
    for (const help of [facts.help, facts.saves, ...inputs.map(([, input]) => input.help)])
      expect(help ?? 'none').not.toMatch(/^$|\.$/);
    for (const [, { label }] of inputs) expect(label).toMatch(/^[A-Z]/);
  });

  it('calls no two inputs alike on the command line, nor like what every run has', () => {
    // What `saves` speaks of is written by the command line; a file of its own an engine writes.
    const taken = ['bos', 'no-bos', 'memory', 'json', 'help', ...(experiment.saves === undefined ? [] : ['save'])];
    const names = inputs.flatMap(([, input]) => namesOf(input));
    const prompt = inputs.some(([, input]) => input.kind === 'text' && input.prompt) ? ['window'] : [];
    const all = [...taken, ...prompt, ...names];
    expect(all).toEqual([...new Set(all)]);
  });

  it('has its arguments before its options are looked at, and none after one that takes all', () => {
    const args = inputs.flatMap(([, { flag }]) => (flag.startsWith('<') ? [flag] : []));
    expect(args.slice(0, -1).filter((flag) => flag.includes('...'))).toEqual([]);
  });

  it('has defaults that its own inputs take', () => {
    for (const [name, input] of inputs) {
      const value = defaultOf(input);
      if (value === undefined || typeof value === 'boolean' || input.kind === 'models') continue;
      const read = valueIn(input, `${value}`);
      // Two are written as one, with a comma.
      if (input.kind === 'pair') expect(read, name).toHaveLength(2);
      else expect(read, name).toEqual(value);
    }
  });

  it('says of every bound what it is', () => {
    for (const [name, input] of inputs) {
      if (input.kind !== 'whole') continue;
      expect(valueIn(input, `${input.least}`), name).toBe(input.least);
      expect(valueIn(input, `${input.least - 1}`), name).toBeUndefined();
      expect(wantedOf(input)).toMatch(
        new RegExp(`^It is a whole number( of [a-z]+,)? from ${input.least} (on|to [\\d,]+)\\.$`),
      );
    }
  });

  it('needs an input only for what another one can be', () => {
    for (const [name, { neededFor }] of inputs) {
      if (!neededFor) continue;
      const decides = facts.inputs[neededFor.input];
      for (const value of neededFor.is) {
        expect(decides && valueIn(decides, value), `${name} for ${value}`).toBe(value);
        const free = defaultOf(found(inputs, ([one]) => one === name)[1]) !== undefined;
        expect(isNeeded(facts.inputs, name, { [neededFor.input]: value })).toBe(!free);
      }
    }
  });
});
