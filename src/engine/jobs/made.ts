/** How much of the entries that stand out in h_k each of their tokens' experts made. */
import type { RoutingValues } from '../../anatomy/anatomy.js';
import type { ExpertsEntry, HiddenStatistics, RoutingStatistics } from '../../statistics/statistics.js';
import { type Inside, valueNamed } from '../questions/inside.js';
import { floats, numbers, rowsOf, size, type TypedArray, type Value } from '../tensors/value.js';

/** Times the median: what is less is no activation that anybody asks after. */
const outstanding = 100;

/** Places of h_k that stand out in it and not half as far in h_(k−1): those that block k made. */
export function arisen(
  before: HiddenStatistics | undefined,
  { top, median }: HiddenStatistics,
): { readonly token: number; readonly dim: number }[] {
  const far = (value: number) => Math.abs(value) > 0 && Math.abs(value) >= outstanding * median;
  return top.flatMap(({ token, dim, value }) => {
    const was = before?.top.find((entry) => entry.token === token && entry.dim === dim)?.value ?? 0;
    return far(value) && Math.abs(value) > 2 * Math.abs(was) ? [{ token, dim }] : [];
  });
}

/**
 * By how much each entry of h_`block` is less where the weight of one of its token's experts is zero: what that expert
 * adds to it, since weights multiply what experts give. The block is run once for each of a token's experts, for all
 * tokens at a time.
 *
 * @param routed what was found of the block's routing; its experts are in that order
 */
export async function madeByExperts(
  inside: Inside,
  block: number,
  from: RoutingValues,
  routed: RoutingStatistics,
  entries: readonly { readonly token: number; readonly dim: number }[],
): Promise<readonly ExpertsEntry[]> {
  const values = await inside.inside(block, [from.indices, from.weights]);
  const weights = valueNamed(values, from.weights);
  const places = placesOf(routed, from, { indices: valueNamed(values, from.indices), weights });
  const whole = await inside.state(block);
  const { dims } = rowsOf(whole);
  const made = entries.map((entry) => ({ ...entry, made: new Float32Array(routed.chosen) }));
  for (let slot = 0; slot < routed.chosen; slot++) {
    const data: TypedArray = weights.data.slice();
    for (let token = 0; token < routed.tokens; token++) data[places(token, slot)] = 0;
    const without = await inside.instead(block, new Map([[from.weights, { ...weights, data }]]));
    const [all, less] = [floats(whole), floats(without)];
    for (const { token, dim, made: parts } of made) {
      const at = token * dims + dim;
      parts[slot] = (all[at] ?? Number.NaN) - (less[at] ?? Number.NaN);
    }
  }
  return made;
}

/** Where the weight of a token's `slot`-th expert, by falling weight, stands in the tensor of weights. */
function placesOf(
  { chosen, experts, indices: sorted }: RoutingStatistics,
  { ofAll, turned }: RoutingValues,
  { indices, weights }: { readonly indices: Value; readonly weights: Value },
): (token: number, slot: number) => number {
  const which = numbers(indices);
  const width = ofAll ? experts : chosen;
  const rows = size(weights.dims) / width;
  return (token, slot) => {
    const expert = sorted[token * chosen + slot] ?? -1;
    const column = ofAll ? expert : which.slice(token * chosen, (token + 1) * chosen).indexOf(expert);
    return turned ? column * rows + token : token * width + column;
  };
}
