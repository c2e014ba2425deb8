/** What the numbers of a file's weights are. */
import type { DescribedWeight } from '../engine/contract/description.js';

/** What the numbers of a weight are: `float16`, or `4-bit` where they are packed into bytes. */
export const numberType = ({ type, bits }: Pick<DescribedWeight, 'type' | 'bits'>): string =>
  bits === undefined ? type : `${bits}-bit`;

/** Bytes of weights by {@link numberType}, most first. */
export function bytesByType(weights: readonly DescribedWeight[]): Map<string, number> {
  const bytes = new Map<string, number>();
  for (const weight of weights) {
    const type = numberType(weight);
    bytes.set(type, (bytes.get(type) ?? 0) + weight.bytes);
  }
  return new Map([...bytes].sort((a, b) => b[1] - a[1]));
}
