/** A model as a quantiser would leave it, without a file: its products are rewritten in the graph. */
import { type Flow, flowOf } from '../../anatomy/flow.js';
import type { LinearProduct } from '../../anatomy/linear.js';
import { matrixOf } from '../../anatomy/products.js';
import { SinkscopeError } from '../../errors.js';
import { DataType, floatAttribute, intAttribute, type Model, type Node } from '../../onnx/model.js';
import { type Quantisable, type Scheme, withProducts } from '../../onnx/quantise.js';
import { constantType } from './counterparts.js';
import type { LoadedModel } from './loaded.js';

/** Older ones lack the operators that quantised products are made of. */
const oldestOpset = 11;

/** The input of booleans, [tokens, 1], that says which rows stay as they are, where some do. */
export const keptRows = 'sinkscope/kept';

/**
 * `loaded` with every product of an activation with a constant matrix as a scheme makes it, as far as the scheme takes
 * its operator. Values are called as in `loaded`, and its linear layers are those products alone.
 *
 * @param options.kept whether there is an input that says which rows stay as they are, {@link keptRows}
 * @param options.excluded outputs of the nodes that stay as they are
 * @throws SinkscopeError `input` where there are no such products in single precision
 */
export function simulate(
  loaded: LoadedModel,
  scheme: Scheme,
  { kept = false, excluded = new Set() }: { readonly kept?: boolean; readonly excluded?: ReadonlySet<string> } = {},
): LoadedModel {
  const { model, file } = loaded;
  const products: Quantisable[] = [];
  const take = quantisables(model, scheme);
  const linear = loaded.linear().map((input) => ({
    ...input,
    products: input.products.filter((product) => {
      const one = take(product);
      if (one && !excluded.has(product.node.outputs[0] ?? '')) products.push(one);
      return one !== undefined;
    }),
  }));
  const refused = (why: string) =>
    new SinkscopeError({ code: 'input', file, message: `${file} cannot be quantised by a scheme: ${why}.` });
  const opset = model.opsets.get('') ?? 1;
  if (opset < oldestOpset) throw refused(`its opset is ${opset}; export it with ${oldestOpset} or newer`);
  if (linear.every((input) => input.products.length === 0)) {
    const all = loaded.linear().flatMap((input) => input.products);
    const kinds = productKinds(model, all);
    throw refused(
      `it has no ${scheme.takes.join(' or ')} of an activation with a weight in single precision${kinds.length > 0 ? ` (its products are ${kinds.join(', ')})` : ''}; ${insteadOf(model, all)}`,
    );
  }
  const made = withProducts(model, scheme, { products, pairs: pairsOf(model) }, kept ? keptRows : undefined);
  return { ...loaded, model: made, quantised: true, rounded: roundedIn(made, model), linear: () => linear };
}

/** What products are, in the words of their operators. */
export function productKinds(model: Model, products: readonly LinearProduct[]): readonly string[] {
  const flow = flowOf(model);
  const kindOf = ({ node, weights: [weight = ''] }: LinearProduct) => {
    if (isDequantised(flow, weight)) return `${node.op} of dequantised weights`;
    const type = constantType(flow, weight);
    return type === DataType.float16 || type === DataType.bfloat16 ? `${node.op} in half precision` : node.op;
  };
  return [...new Set(products.map(kindOf))];
}

/** What to give where a scheme takes none of these products. */
function insteadOf(model: Model, products: readonly LinearProduct[]): string {
  const flow = flowOf(model);
  const isMade = ({ weights: [weight = ''] }: LinearProduct) =>
    isDequantised(flow, weight) || !inFloats.has(constantType(flow, weight));
  if (products.some(isMade)) return 'it is quantised already: give the model that it was made from';
  const takesGemm = quantisables(model, { takes: ['Gemm'] });
  return products.some(takesGemm) ? 'give a scheme that takes Gemm' : 'give the model in fp32, as plain operators';
}

const inFloats: ReadonlySet<DataType> = new Set([DataType.float, DataType.float16, DataType.bfloat16, DataType.double]);

/** No quantiser takes these: ONNX Runtime does not fold `DequantizeLinear` of a constant. */
function isDequantised(flow: Flow, weight: string): boolean {
  const node = flow.producer(weight);
  return node !== undefined && (node.op === 'DequantizeLinear' || isDequantised(flow, node.inputs[0] ?? ''));
}

/** What the new nodes of a model make of weights alone, and others of them read. */
function roundedIn(model: Model, before: Model): ReadonlySet<string> {
  const { isConstant } = flowOf(model);
  const old = new Set(before.graph.nodes.flatMap(({ outputs }) => outputs));
  const fresh = model.graph.nodes.flatMap(({ outputs }) => outputs).filter((name) => !old.has(name));
  const made = new Set(fresh.filter(isConstant));
  const readers = model.graph.nodes.filter(({ outputs: [name = ''] }) => !isConstant(name));
  return new Set(readers.flatMap(({ inputs }) => inputs).filter((name) => made.has(name)));
}

/** Products of two activations. */
export function pairsOf(model: Model): readonly Node[] {
  const { isConstant } = flowOf(model);
  const isPair = ({ op, domain, inputs }: Node) => op === 'MatMul' && domain === '' && !inputs.some(isConstant);
  return model.graph.nodes.filter(isPair);
}

/** Tells what a scheme takes: undefined for what it leaves as it is. */
export function quantisables(
  model: Model,
  scheme: Pick<Scheme, 'takes' | 'unscaled'>,
): (product: LinearProduct) => Quantisable | undefined {
  const flow = flowOf(model);
  return (product) => quantisable(flow, scheme, product);
}

function quantisable(
  flow: Flow,
  { takes, unscaled = false }: Pick<Scheme, 'takes' | 'unscaled'>,
  { node, side, weights: [weight = ''] }: LinearProduct,
): Quantisable | undefined {
  if (!takes.includes(node.op) || node.domain !== '' || side !== 'right') return undefined;
  // What is read is as it is, and so is the product.
  if (intAttribute(node, 'transA', 0) !== 0 || floatAttribute(node, 'alpha', 1) !== 1) return undefined;
  if (unscaled && floatAttribute(node, 'beta', 1) !== 1) return undefined;
  if (node.inputs[1] !== weight) return undefined;
  const dims = matrixOf(flow, weight);
  const [first, second] = dims?.slice(-2) ?? [];
  if (first === undefined || second === undefined || dims?.length !== 2) return undefined;
  if (constantType(flow, weight) !== DataType.float || isDequantised(flow, weight)) return undefined;
  return { node, extents: intAttribute(node, 'transB', 0) !== 0 ? [second, first] : [first, second] };
}
