/** IEEE 754 half precision (`float16` of ONNX, `F16` of safetensors), given as its bits, widened exactly. */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  halfValues ??= Float32Array.from({ length: 1 << 16 }, (_, half) => halfValue(half));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = halfValues[bits[i]];
  return values;
}

/** bfloat16, given as its bits, widened exactly: it is the upper half of a float32. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const widened = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) widened[i] = bits[i] << 16;
  return new Float32Array(widened.buffer);
}

/** The value of every half, by its bits; made when first needed. */
let halfValues: Float32Array | undefined;

function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
