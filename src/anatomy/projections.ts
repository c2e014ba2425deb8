/** The products with weights that queries or keys come from. */
import { type PartialVector, partialVector } from './extents.js';
import { between, type Flow } from './flow.js';
import { factors, isPointwise } from './ops.js';
import { type WeightProduct, weightProduct } from './products.js';

export interface Projections {
  readonly products: readonly WeightProduct[];
  /** Targets of the reshapes of these products that can split columns into heads, nearest to the weight first. */
  readonly targets: readonly PartialVector[];
}

/** The weight products that queries or keys come from, and how they are split into heads on the way. */
export function projections(flow: Flow, value: string): Projections {
  const products = new Set<WeightProduct>();
  const reshapes: { input: string; target: PartialVector }[] = [];
  const seen = new Set<string>([value]);
  const open = [value];
  for (let current = open.shift(); current !== undefined && seen.size < 256; current = open.shift()) {
    const node = flow.producer(current);
    if (!node) continue;
    const product = weightProduct(flow, node);
    if (product) {
      products.add(product);
      continue;
    }
    if (factors(node) || !isPointwise(node)) continue;
    const target = node.op === 'Reshape' ? partialVector(flow, node.inputs[1] ?? '') : undefined;
    if (target && target.length >= 3) reshapes.unshift({ input: node.inputs[0] ?? '', target });
    for (const input of flow.reads(node))
      if (!seen.has(input)) {
        seen.add(input);
        open.push(input);
      }
  }
  // Rotary tables are reshaped on these ways too.
  const sources = [...products].map(({ node }) => node.outputs[0] ?? '');
  const own = reshapes.filter(({ input }) => sources.some((from) => from === input || between(flow, from, input)));
  return { products: [...products], targets: own.map(({ target }) => target) };
}
