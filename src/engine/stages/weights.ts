/** The weights of a block's products with a weight, and where their entries stand. */
import type { LinearPart, LinearProduct } from '../../anatomy/linear.js';
import { intAttribute } from '../../onnx/model.js';
import type { LoadedModel } from './loaded.js';

/** A weight as its product reads it. */
export interface BlockWeight {
  readonly part: LinearPart;
  readonly product: LinearProduct;
  /** The initializer that it is made of, as the file names it. */
  readonly stored: string;
}

/** By block, its weights by the value that their product reads; embedding and head have none. */
export function blockWeights(loaded: LoadedModel): (block: number) => ReadonlyMap<string, BlockWeight> {
  const byBlock = new Map<number, Map<string, BlockWeight>>();
  for (const { block, part: shared, products } of loaded.linear()) {
    if (shared === 'beside' || shared === 'head' || shared === 'embedding') continue;
    const found = byBlock.get(block) ?? new Map<string, BlockWeight>();
    byBlock.set(block, found);
    for (const product of products)
      for (const [i, weight] of product.weights.entries())
        if (!found.has(weight)) found.set(weight, { part: product.part, product, stored: product.stored[i] ?? weight });
  }
  return (block) => (block <= loaded.anatomy.layers ? (byBlock.get(block) ?? new Map()) : new Map());
}

/**
 * Where an entry of a matrix stands: `row` counts what the product gives, `column` what it reads.
 *
 * @param dims of the weight as the product reads it
 * @returns undefined for what is no matrix
 */
export function entryPlace(
  { product: { node, side } }: BlockWeight,
  dims: readonly number[],
  index: number,
): { readonly row: number; readonly column: number } | undefined {
  const [, width] = dims;
  if (dims.length !== 2 || width === undefined || side === undefined) return undefined;
  const [first, second] = [Math.floor(index / width), index % width];
  const turned = intAttribute(node, side === 'right' ? 'transB' : 'transA', 0) !== 0;
  return (side === 'right') === turned ? { row: first, column: second } : { row: second, column: first };
}
