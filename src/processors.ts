/** How many processors this process may use, where somebody said so. */
import { availableParallelism, cpus } from 'node:os';

/**
 * As many as the environment's `OMP_NUM_THREADS` (its first number: the others are of nested loops), which schedulers and
 * people set for every library that computes, or as many as the process was given (a job of a cluster) where these are
 * not all. 0: nobody said anything. ONNX Runtime asks for neither: it counts all there are and takes them.
 *
 * @param said the value of `OMP_NUM_THREADS`; what is no number from 1 says nothing
 */
export function processorsGiven(
  said: string | undefined,
  available: number = availableParallelism(),
  all: number = cpus().length,
): number {
  const most = Number(said?.match(/^\s*(\d+)\s*(,|$)/)?.[1] ?? 0);
  const given = available < all ? available : 0;
  return most > 0 && given > 0 ? Math.min(most, given) : most || given;
}

/** How many each of so many processes may use side by side, at least 1; see {@link processorsGiven}. */
export function processorsEach(
  processes: number,
  said: string | undefined,
  available: number = availableParallelism(),
  all: number = cpus().length,
): number {
  return Math.max(1, Math.floor((processorsGiven(said, available, all) || available) / processes));
}
