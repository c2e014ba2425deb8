import { afterAll, describe, expect, it } from 'vitest';
import { createLossSession } from '../../../src/engine/stages/losses.js';
import { at } from '../../support/lists.js';

const session = await createLossSession(1);
afterAll(() => session.release());

/** By the definition, shifted by the maximum, in double precision. */
function expected(logits: Float32Array, id: number): number {
  const max = Math.max(...logits);
  return max + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0)) - at(logits, id);
}

describe('the loss of a token', () => {
  it.each([
    ['logits as models give them', Float32Array.from({ length: 8192 }, (_, i) => 20 * Math.sin(i * 1.7) - 5)],
    ['values next to each other', Float32Array.from({ length: 1000 }, (_, i) => i * 1e-5)],
    ['one value', Float32Array.of(3)],
    ['very small values', Float32Array.of(-650, -649, -660)],
    ['very large values', Float32Array.of(650, 649, 100)],
    ['values beyond what an exponential takes', Float32Array.of(1e4, 1e4 - 1, -1e4)],
    ['masked entries', Float32Array.of(1, Number.NEGATIVE_INFINITY, -3.4e38, 2)],
  ])('is that of its definition for %s', async (_, logits) => {
    const id = logits.length - 1;
    const loss = at(await session.losses(logits, [id]), 0);
    const value = expected(logits, id);
    expect(Math.abs(loss - value)).toBeLessThan(3e-6 * Math.max(1, Math.abs(value)));
  });

  it('is each row’s own', async () => {
    const [one, other] = [Float32Array.of(1, 2, 3), Float32Array.of(3, 0, -1)];
    const losses = await session.losses(Float32Array.of(...one, ...other), [2, 1]);
    expect(losses[0]).toBeCloseTo(expected(one, 2), 6);
    expect(losses[1]).toBeCloseTo(expected(other, 1), 6);
  });

  it('is not a number where a logit is none', async () => {
    expect([...(await session.losses(Float32Array.of(1, Number.NaN, 2), [0]))]).toEqual([Number.NaN]);
  });
});
