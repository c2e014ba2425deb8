import { describe, expect, it } from 'vitest';
import { casesFrom, fuzz } from './fuzz.js';
import { kinds } from './inputs.js';
import { failures } from './known.js';
import { unwatchable } from './watch.js';

const isOpen = ({ kind, seed }: { kind: string; seed: number }) =>
  failures.some((one) => one.kind === kind && one.seed === seed && one.open);

describe('inputs from strangers', () => {
  it('a few of every kind break no rule', async (context) => {
    if (unwatchable) return context.skip(unwatchable);
    // None takes more than two seconds, so that a slow machine is not told apart from a hang.
    const cases = casesFrom(100, 4 * Object.keys(kinds).length).filter((key) => !isOpen(key));
    const { broken, tried } = await fuzz(cases, 1);
    expect(broken.map(({ wrong, command }) => `${wrong.join('; ')}: ${command}`)).toEqual([]);
    const outcomes = [...tried.values()].flat().map(({ outcome }) => outcome);
    // Of both kinds there must be many, or the damage says little.
    const finished = outcomes.filter((outcome) => outcome === 'finished').length;
    expect(finished).toBeGreaterThan(cases.length / 5);
    expect(cases.length - finished).toBeGreaterThan(cases.length / 5);
  });

  for (const { kind, seed, wrong, open } of failures) {
    it(`${kind} ${seed}, which ${wrong}, does not any more`, async (context) => {
      if (unwatchable) return context.skip(unwatchable);
      if (open) return context.skip(`known, and not mended: it ${wrong}`);
      const { broken } = await fuzz([{ kind, seed }], 1);
      expect(broken).toEqual([]);
    });
  }
});
