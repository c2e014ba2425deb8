/** A model as a quantiser would leave it, without a file: its products are rewritten in the graph. */
import { type Flow, flowOf } from '../../anatomy/flow.js';
import type { LinearProduct } from '../../anatomy/linear.js';
import { matrixOf } from '../../anatomy/products.js';
import { SinkscopeError } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { type Quantisable, type Rewrite, withProducts } from '../../onnx/quantise.js';
import { constantType } from './counterparts.js';
import type { LoadedModel } from './loaded.js';

/** Older ones lack the operators that quantised products are made of. */
const oldestOpset = 11;

/**
 * `loaded` with every product of an activation with a constant matrix as a scheme makes it (`MatMul` alone, as ONNX
 * Runtime's quantizer takes them when it is given that operator). Values are called as in `loaded`, and its linear layers
 * are those products alone.
 *
 * @throws SinkscopeError `input` where there are no such products in single precision
 */
export function simulate(loaded: LoadedModel, rewrite: Rewrite): LoadedModel {
  const { model, file } = loaded;
  const flow = flowOf(model);
  const products: Quantisable[] = [];
  const linear = loaded.linear().map((input) => ({
    ...input,
    products: input.products.filter((product) => {
      const one = quantisable(flow, product);
      if (one) products.push(one);
      return one !== undefined;
    }),
  }));
  const refused = (why: string) =>
    new SinkscopeError({ code: 'input', file, message: `${file} cannot be quantised by a scheme: ${why}.` });
  const opset = model.opsets.get('') ?? 1;
  if (opset < oldestOpset) throw refused(`its opset is ${opset}; export it with ${oldestOpset} or newer`);
  if (products.length === 0)
    throw refused(
      'it has no MatMul of an activation with a weight in single precision; give the model in fp32, as plain operators',
    );
  return { ...loaded, model: withProducts(model, rewrite, products), quantised: true, linear: () => linear };
}

/** Undefined for what schemes leave as it is. */
function quantisable(flow: Flow, { node, side, weights: [weight = ''] }: LinearProduct): Quantisable | undefined {
  if (node.op !== 'MatMul' || node.domain !== '' || side !== 'right') return undefined;
  const dims = matrixOf(flow, weight);
  const [rows, columns] = dims?.slice(-2) ?? [];
  if (rows === undefined || columns === undefined || dims?.length !== 2) return undefined;
  return constantType(flow, weight) === DataType.float ? { node, extents: [rows, columns] } : undefined;
}
