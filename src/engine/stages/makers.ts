/** Which entries of weights a number is made by: w · ∂/∂w, the largest of each weight. */
import type { Calculus } from '../../gradients/calculus.js';
import type { WeightEntry } from '../contract/gradients.js';
import { floats, numbers, size, type Values } from '../tensors/value.js';
import type { Backward, Reduction, Tracks } from './backward.js';
import type { Stage } from './plan.js';
import { type BlockWeight, entryPlace } from './weights.js';

/** So many of each weight. */
const most = 8;

const nameOf = (what: string, weight: string) => `sinkscope/${what}/${weight}`;

/** @param sizes elements of each weight of the block that is known */
export function largestProducts(sizes: ReadonlyMap<string, number>): Reduction {
  return {
    fed: new Map(),
    key: `largest ${[...sizes.values()]}`,
    make(build: Calculus, weight, adjoint) {
      const elements = sizes.get(weight);
      if (elements === undefined) return new Map();
      const [flat, products] = [weight, build.mul(weight, adjoint)].map((value) => build.reshape(value, [elements]));
      if (flat === undefined || products === undefined) return new Map();
      const count = build.ints([Math.min(most, elements)]);
      const [, indices = ''] = build.several('TopK', [build.node('Abs', [products]), count], 2);
      return new Map([
        [nameOf('indices', weight), indices],
        [nameOf('entries', weight), build.node('Gather', [flat, indices])],
        [nameOf('products', weight), build.node('Gather', [products, indices])],
      ]);
    },
  };
}

/** Elements of the weights of a stage's block, as far as the way forward has come by their extents. */
export function sizesOf(back: Backward, stage: Stage, tracks: Tracks): ReadonlyMap<string, number> {
  return new Map(
    back.inside(stage).flatMap((weight) => {
      const dims = back.shape(stage, tracks, weight);
      return dims ? [[weight, size(dims)] as const] : [];
    }),
  );
}

/** What {@link largestProducts} gave of a block's weights; matrices alone have entries that can be named. */
export function entriesIn(
  reduced: Values,
  weights: ReadonlyMap<string, BlockWeight>,
  dimsOf: (weight: string) => readonly number[] | undefined,
): WeightEntry[] {
  return [...weights].flatMap(([weight, one]) => {
    const [indices, entries, products] = ['indices', 'entries', 'products'].map((what) =>
      reduced.get(nameOf(what, weight)),
    );
    const dims = dimsOf(weight);
    if (!indices || !entries || !products || !dims) return [];
    return numbers(indices).flatMap((index, i) => {
      const place = entryPlace(one, dims, index);
      const [value = Number.NaN, product = Number.NaN] = [floats(entries)[i], floats(products)[i]];
      return place ? [{ part: one.part, weight: one.stored, ...place, value, product }] : [];
    });
  });
}
