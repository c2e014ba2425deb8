import { describe, expect, it } from 'vitest';
import { logSumExp } from '../../../src/statistics/softmax.js';

/** By the definition, shifted by the maximum. */
function expected(logits: Float32Array): number {
  const max = Math.max(...logits);
  return max + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
}

describe('the logarithm of summed exponentials', () => {
  it.each([
    ['logits as models give them', Float32Array.from({ length: 8192 }, (_, i) => 20 * Math.sin(i * 1.7) - 5)],
    ['values next to each other', Float32Array.from({ length: 1000 }, (_, i) => i * 1e-5)],
    ['one value', Float32Array.of(3)],
    ['very small values', Float32Array.of(-650, -649, -660)],
    ['very large values', Float32Array.of(650, 649, 100)],
    ['values beyond the range of doubles', Float32Array.of(1e4, 1e4 - 1, -1e4)],
    ['only such below it', Float32Array.of(-1e4, -1e4 - 2)],
    ['masked entries', Float32Array.of(1, Number.NEGATIVE_INFINITY, -3.4e38, 2)],
  ])('is exact for %s', (_, logits) => {
    const value = expected(logits);
    expect(Math.abs(logSumExp(logits) - value)).toBeLessThan(1e-11 * Math.max(1, Math.abs(value)));
  });

  it('is not a number where a logit is none', () => {
    expect(logSumExp(Float32Array.of(1, Number.NaN))).toBeNaN();
  });
});
