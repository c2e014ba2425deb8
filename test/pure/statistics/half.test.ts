import { expect, it } from 'vitest';
import { bfloat16ToFloat32, float16ToFloat32 } from '../../../src/statistics/half.js';
import { bits, floats } from './goldens.js';

it.each([
  ['f16', float16ToFloat32],
  ['bf16', bfloat16ToFloat32],
] as const)('widens %s as PyTorch does: subnormals, signed zeros, infinities and NaN too', async (name, widen) => {
  const widened = widen(await bits(`half.${name}`));
  const expected = await floats(`half.${name}_as_f32`);
  expect(widened).toHaveLength(expected.length);
  // Object.is tells -0 from 0 and takes every NaN as one.
  expect([...widened.keys()].filter((i) => !Object.is(widened[i], expected[i]))).toEqual([]);
});
