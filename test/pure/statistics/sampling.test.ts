import { describe, expect, it } from 'vitest';
import { candidates, sampled, surpriseOf } from '../../../src/statistics/sampling.js';
import { at } from '../../support/lists.js';
import references from './sampling.json';

describe('candidates', () => {
  it.each(references.sampling)('are those of transformers: temperature $temperature, k $topK, p $topP', (one) => {
    const probabilities = new Array<number>(one.logits.length).fill(0);
    for (const [id, p] of candidates(Float32Array.from(one.logits), one)) probabilities[id] = p;
    for (const [id, p] of one.probabilities.entries()) expect(at(probabilities, id)).toBeCloseTo(p, 5);
  });
});

describe('sampled', () => {
  const logits = Float32Array.of(1, Number.NaN, 3, 3, Number.NEGATIVE_INFINITY);

  it('takes the first of the most likely at temperature 0, and draws nothing', () => {
    const nothing = () => {
      throw new Error('something was drawn');
    };
    expect(sampled(logits, { temperature: 0, topK: 0, topP: 1 }, nothing)).toBe(2);
  });

  it('draws in the order of likelihood, and never what cannot come', () => {
    const draw = (random: number) => sampled(logits, { temperature: 1, topK: 0, topP: 1 }, () => random);
    expect([draw(0), draw(0.46), draw(0.47), draw(0.95)]).toEqual([2, 2, 3, 0]);
    expect(draw(1 - 2 ** -53)).not.toBe(4);
  });

  it('gives nothing where no logit is a number', () => {
    const none = Float32Array.of(Number.NaN, Number.NaN);
    for (const temperature of [0, 1]) expect(sampled(none, { temperature, topK: 0, topP: 1 }, () => 0)).toBeUndefined();
  });
});

describe('surpriseOf', () => {
  it('is −ln p and the entropy, in nats', () => {
    // p = 1/8, 1/8, 3/4: the entropy is 2 · ln 8 / 8 + 3/4 · ln 4/3.
    const logits = Float32Array.of(0, 0, Math.log(6));
    const { surprisal, entropy } = surpriseOf(logits, 0);
    expect(surprisal).toBeCloseTo(Math.log(8), 6);
    expect(entropy).toBeCloseTo(Math.log(8) / 4 + 0.75 * Math.log(4 / 3), 6);
  });
});
