/** How much memory an engine may use where nobody has said. */
import { totalmem } from 'node:os';

/**
 * Of the machine's memory. Two engines may be at work, the panel's and an experiment's: together they leave half of it
 * to the editor, everything else and the files that the system keeps at hand, weights above all. That is 2 GB each on
 * a laptop of 8 GB, and no model is too large for that; a server gives more, and keeps more.
 */
const share = 1 / 4;

/**
 * Bytes, whole megabytes of them.
 *
 * @param total the machine's memory, in bytes
 * @param limit what the process's container allows, where there is such a limit; 0 where there is none
 */
export function defaultBudget(total = totalmem(), limit = process.constrainedMemory()): number {
  const available = limit > 0 ? Math.min(limit, total) : total;
  return Math.floor((available * share) / 2 ** 20) * 2 ** 20;
}
