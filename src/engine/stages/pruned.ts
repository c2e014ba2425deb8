/** A model with the smallest weights of its blocks at 0, as a rewrite of its graph: the file stays as it is. */
import { SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { type Quantisable, type Rewrite, withProducts } from '../../onnx/quantise.js';
import type { LoadedModel } from './loaded.js';
import { quantisables } from './simulated.js';

const takes = ['MatMul', 'Gemm'];

/**
 * @param shares by block, from 1: which part of the entries of each of its matrices is 0, those of smallest magnitude;
 *   entries as large as the last of them go too
 * @throws SinkscopeError `input` for another number of blocks, and where a block has products that are not plain ones
 */
export function pruned(loaded: LoadedModel, shares: readonly number[]): LoadedModel {
  const { anatomy, file, model } = loaded;
  const refused = (why: string) =>
    new SinkscopeError({ code: 'input', file, message: `${file} cannot be pruned: ${why}.` });
  if (shares.length !== anatomy.layers)
    throw refused(`it has ${anatomy.layers} blocks, and shares of ${shares.length} were given`);
  if ((model.opsets.get('') ?? 1) < 11) throw refused('its opset is older than 11; export it with a newer one');
  const take = quantisables(model, { takes });
  const products: Quantisable[] = [];
  const byOutput = new Map<string, number>();
  let others = 0;
  for (const { block, part, products: own } of loaded.linear()) {
    const share = part === 'beside' ? undefined : shares[block - 1];
    if (share === undefined) continue;
    for (const product of own) {
      const one = take(product);
      if (!one) others++;
      else {
        products.push(one);
        byOutput.set(product.node.outputs[0] ?? '', share);
      }
    }
  }
  if (others > 0 || products.length === 0)
    throw refused(
      `${others} products with a weight in its blocks are no plain ones in single precision; give the model in fp32, as plain operators`,
    );
  return { ...loaded, model: withProducts(model, { takes, rewrite: without(byOutput) }, { products, pairs: [] }) };
}

const without =
  (shares: ReadonlyMap<string, number>): Rewrite =>
  ({ node, several, integers, reduce, product, extents, output }, x, weight) => {
    const [rows, columns] = extents;
    const count = Math.floor((shares.get(output) ?? 0) * rows * columns);
    if (count === 0) return product(x, weight);
    const sizes = node('Abs', [weight]);
    const flat = node('Reshape', [sizes, integers([-1])]);
    const [smallest = ''] = several('TopK', [flat, integers([count])], 2, { largest: { kind: 'int', value: 0n } });
    const stays = node('Greater', [sizes, reduce('ReduceMax', smallest)]);
    const mask = node('Cast', [stays], { to: { kind: 'int', value: BigInt(DataType.float) } });
    return product(x, node('Mul', [weight, mask]));
  };
