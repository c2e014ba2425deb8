/** What parts of a model are ranked on, and what products may gain, told from their block alone. */
import type { RequestOf } from '../../engine/contract/protocol.js';
import type { Engine } from '../../engine/host/engine.js';
import { greatest, sum } from '../../statistics/numbers.js';
import type { Progress } from '../experiment.js';
import { follow, progressThrough } from '../shared/text.js';

/** Tokens from which on more of them change no ranking that matters, and of which at least as many are ranked on. */
const [enough, few] = [1024, 100];

interface Ranked<T> {
  readonly some: readonly T[];
  readonly rest: readonly T[];
  /** Whether those are beginnings of windows; then `rest` is all windows as they are. */
  readonly cut: boolean;
}

/**
 * Windows that parts are ranked on, spread over all, and the others: a third of the tokens, for each part of the model
 * costs about half a run of them. Where that is less than a window, it is the beginning of the first.
 */
export function rankedOn<T extends { readonly ids: readonly number[]; readonly from: number }>(
  windows: readonly T[],
): Ranked<T> {
  const scored = windows.map(({ ids, from }) => ids.length - from);
  const wanted = Math.min(enough, Math.max(few, Math.round(sum(scored) / 3)));
  const count = Math.floor(wanted / Math.max(1, greatest(scored)));
  if (count === 0) {
    const begun = windows.slice(0, 1).map((one) => ({ ...one, ids: one.ids.slice(0, one.from + wanted) }));
    return { some: begun, rest: windows, cut: true };
  }
  const most = Math.min(count, windows.length);
  const taken = new Set(Array.from({ length: most }, (_, i) => Math.floor((i * windows.length) / most)));
  return {
    some: windows.filter((_, i) => taken.has(i)),
    rest: windows.filter((_, i) => !taken.has(i)),
    cut: false,
  };
}

/** Of a product: mean KLD of the quantised model with its block restored, and as it is. */
export interface Around {
  readonly restored: number;
  readonly kld: number;
}

/**
 * Estimates the mean KLD with one product of a block restored: what is left of the noise that the block itself makes is
 * taken for what is left of what restoring the block gains. Costs about a block for each product, and no output head.
 *
 * @param request of which every variant is one product
 * @param around by variant
 */
export async function* estimated(
  engine: Engine,
  request: RequestOf<'restore'>,
  around: readonly Around[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress, readonly number[], void> {
  if (request.variants.length === 0) return [];
  const noises = around.map(() => ({ left: 0, whole: 0 }));
  const progress = progressThrough('looking at products', request.sequences.length);
  for await (const event of follow(engine.run('restore', { ...request, inBlock: true }, signal))) {
    if (event.type === 'products' || event.type === 'restored') continue;
    if (event.type === 'noises')
      for (const [i, noise] of noises.entries()) {
        noise.left += event.left[i] ?? Number.NaN;
        noise.whole += event.whole[i] ?? Number.NaN;
      }
    yield progress(event);
  }
  return around.map((one, i) => estimateOf(one, noises[i] ?? { left: Number.NaN, whole: Number.NaN }));
}

/** @param noise what is left of it with the product restored, and all of it */
export function estimateOf(
  { restored, kld }: Around,
  { left, whole }: { readonly left: number; readonly whole: number },
): number {
  // Where the block overflows, a product mends that or it does not.
  if (!Number.isFinite(whole) || !Number.isFinite(kld)) return Number.isFinite(left) ? restored : Number.NaN;
  return whole === 0 ? kld : restored + (kld - restored) * Math.min(1, left / whole);
}
