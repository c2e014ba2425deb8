import { describe, expect, it } from 'vitest';
import { float16ToFloat32, float32ToFloat16 } from '../../../src/statistics/half.js';
import { bits, floats } from './goldens.js';

it('widens as PyTorch does: subnormals, signed zeros, infinities and NaN too', async () => {
  const widened = float16ToFloat32(await bits('half.f16'));
  const expected = await floats('half.f16_as_f32');
  expect(widened).toHaveLength(expected.length);
  // Object.is tells -0 from 0 and takes every NaN as one.
  expect([...widened.keys()].filter((i) => !Object.is(widened[i], expected[i]))).toEqual([]);
});

describe('rounding to half precision', () => {
  /** The bits of all positive finite halves, in the order of their values. */
  const halves = Uint16Array.from({ length: 0x7c00 }, (_, bits) => bits);
  const values = float16ToFloat32(halves);
  const negated = (bits: Uint16Array) => bits.map((half) => half | 0x8000);

  it('leaves every half as it is', () => {
    expect(float32ToFloat16(values)).toEqual(halves);
    expect(float32ToFloat16(values.map((value) => -value))).toEqual(negated(halves));
  });

  it('goes to the even one in the middle of two, else to the nearer', () => {
    // 2^16 is what would follow the largest half: from its middle on values become infinite.
    const next = Float32Array.from(values, (_, i) => values[i + 1] ?? 2 ** 16);
    const middle = values.map((value, i) => (value + (next[i] ?? 0)) / 2);
    const even = halves.map((half) => half + (half & 1));
    expect(float32ToFloat16(middle)).toEqual(even);
    expect(float32ToFloat16(middle.map((value) => -value))).toEqual(negated(even));
    expect(float32ToFloat16(middle.map((value) => value * (1 - 2 ** -20)))).toEqual(halves);
    expect(float32ToFloat16(middle.map((value) => value * (1 + 2 ** -20)))).toEqual(halves.map((half) => half + 1));
  });

  it('keeps infinities and NaN', () => {
    const { NaN: none, POSITIVE_INFINITY: all } = Number;
    expect([...float32ToFloat16(Float32Array.of(all, -all, 1e30))]).toEqual([0x7c00, 0xfc00, 0x7c00]);
    expect([...float16ToFloat32(float32ToFloat16(Float32Array.of(none)))]).toEqual([none]);
  });
});
