import { describe, expect, it } from 'vitest';
import { fitGamma, gammaQuantile, lowerGamma } from '../../../src/statistics/gamma.js';

describe('gamma distribution', () => {
  // torch.special.gammainc in double precision; where a is large, from the sum of Poisson probabilities in fractions.
  it.each([
    [0.5, 0.1, 0.345279153981423],
    [1, 1, 0.6321205588285577],
    [3.5, 0.2, 0.0002634388924087964],
    [3.5, 9, 0.9880299976459704],
    [40, 30, 0.04625303764584199],
    [40, 80, 0.9999997191278374],
  ])('P(%d, %d)', (a, x, expected) => {
    expect(Math.abs(lowerGamma(a, x) / expected - 1)).toBeLessThan(1e-11);
  });

  it('has quantiles that its own integral leads back from', () => {
    for (const shape of [0.7, 3, 25]) {
      for (const p of [1e-6, 0.001, 0.5, 0.999]) {
        const x = gammaQuantile({ shape, scale: 2, shift: -1 }, p);
        expect(Math.abs(lowerGamma(shape, (x + 1) / 2) / p - 1)).toBeLessThan(1e-8);
      }
    }
  });

  it('is found again from its own quantiles', () => {
    const gamma = { shape: 3.2, scale: 0.4, shift: -2 };
    const values = Array.from({ length: 20_000 }, (_, i) => gammaQuantile(gamma, (i + 0.5) / 20_000));
    const { shape, scale, shift } = fitGamma(values, -2);
    expect(shape).toBeCloseTo(3.2, 2);
    expect(scale).toBeCloseTo(0.4, 3);
    expect(shift).toBe(-2);
  });
});
