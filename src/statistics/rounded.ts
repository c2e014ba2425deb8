/** Numbers of a cache that is kept in few bits. */
import { halfToEven } from './numbers.js';

/**
 * Rounds a vector, in place, to the 2^bits values between its least and its greatest entry, evenly spaced
 * (asymmetric quantisation with a scale and a least value of its own), half to even. One whose entries are all alike
 * stays.
 */
export function roundRow(row: Float32Array, bits: number): void {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of row) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  const scale = (most - least) / (2 ** bits - 1);
  if (!(scale > 0)) return;
  for (const [i, value] of row.entries()) row[i] = least + halfToEven((value - least) / scale) * scale;
}

/** Bytes of such a vector: its entries, and in single precision its scale and its least value. */
export const roundedBytes = (length: number, bits: number): number => Math.ceil((length * bits) / 8) + 8;
