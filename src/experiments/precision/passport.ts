/** Which floating-point formats a model's activations fit. */
import type { PrecisionPoint } from '../../engine/contract/precision.js';

/** Largest finite numbers: IEEE half precision, and E4M3 (without infinities) and E5M2 of arXiv:2209.05433. */
export const largestNumbers = { fp16: 65_504, fp8_e4m3: 448, fp8_e5m2: 57_344 } as const;
export type FloatFormat = keyof typeof largestNumbers;

/** How many times the largest magnitude fits below the largest number of a format; 0 where an entry is not finite. */
export function headroom({ max, nonFinite }: Pick<PrecisionPoint, 'max' | 'nonFinite'>, format: FloatFormat): number {
  return nonFinite > 0 ? 0 : largestNumbers[format] / max;
}

/** Distance of two neighbouring bfloat16 numbers at a magnitude: 8 bits of significand. */
export const bf16Step = (magnitude: number) => (magnitude > 0 ? 2 ** (Math.floor(Math.log2(magnitude)) - 7) : 0);

/** The bf16 step at the largest entry ÷ the median magnitude: at 2 and more, half of the tensor is below one step. */
export const bf16Coarseness = ({ max, median }: Pick<PrecisionPoint, 'max' | 'median'>) => bf16Step(max) / median;

/** The point with the least headroom; of equal ones the first. */
export function tightest(points: readonly PrecisionPoint[]): PrecisionPoint | undefined {
  return points.reduce<PrecisionPoint | undefined>(
    (least, point) => (least && headroom(least, 'fp16') <= headroom(point, 'fp16') ? least : point),
    undefined,
  );
}

/** As people say it: `h_4`, `mid_4`, `attn_in of block 2`. */
export function pointName({ point, block, part }: PrecisionPoint, layers: number): string {
  const where = block > layers ? 'the output head' : block === 0 ? 'the embedding' : `block ${block}`;
  switch (point) {
    case 'resid_post':
      return `h_${block}`;
    case 'resid_mid':
      return `mid_${block}`;
    case 'norm':
      return `a norm of ${where}`;
    case 'norm_squares':
      return `squares in a norm of ${where}`;
    case 'input':
      return `${part} of ${where}`;
    case 'product':
      return `the product of ${part} of ${where}`;
    case 'logits':
      return 'the logits';
  }
}
