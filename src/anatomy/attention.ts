/** Attention sites: where a branch's pattern is, and how many heads it has. */
import { DataType, type Node } from '../onnx/model.js';
import type { Attention } from './anatomy.js';
import { declaredExtents, type PartialVector, partialVector } from './extents.js';
import { between, type Flow, stripped } from './flow.js';
import { countedHeads, inputAs, isFusedAttention, outputAs } from './operators/table.js';
import { factors, isPointwise, isSum } from './ops.js';
import { lastProduct, type WeightProduct, weightProduct } from './products.js';
import type { Branch } from './residual.js';

/** The attention of a branch, or undefined where it holds no softmax that weighs values and no fused operator. */
export function attentionOf(flow: Flow, branch: Branch): Attention | undefined {
  const site = siteOf(flow, branch.nodes);
  if (!site) return undefined;
  const { output } = branch;
  const projection = lastProduct(flow, output);
  const projected = projection && (isIntegerProduct(projection.node) ? output : projection.node.outputs[0]);
  const width = projection?.rows;
  const inside = 'tensor' in site ? ofSoftmax(flow, site, width) : ofOperator(flow, site.operator, width);
  return { output, projected, ...inside };
}

type Inside = Omit<Attention, 'output' | 'projected'>;

/**
 * Attention whose softmax is a node of the graph.
 *
 * @param width elements of all heads' values together: rows of the output projection.
 */
function ofSoftmax(flow: Flow, site: Softmax, width: number | undefined): Inside {
  const { tensor, values, weighed, scores } = site;
  const [query, keys] = (scores && factors(scores)) ?? [];
  const normed = query === undefined ? undefined : projections(flow, query).products[0]?.activation;
  const edges = edgesOf(flow, site);
  return { pattern: { tensor }, normed, keys, values, weighed, edges, ...headsOf(flow, site, width) };
}

/** Attention that is one operator, with its projections before it or inside. */
function ofOperator(flow: Flow, operator: Node, width: number | undefined): Inside {
  const [query, key] = [inputAs(operator, 'query'), inputAs(operator, 'key')];
  const normed = projections(flow, query).products[0]?.activation ?? (query || inputAs(operator, 'states'));
  const weighed = outputAs(operator, 'weighed');
  const counted = countedHeads(operator);
  const heads = known(counted.heads) ?? declaredHeads(flow, query) ?? known(splitOf(projections(flow, query))?.at(-2));
  const headDim = ratio(width, heads);
  const kvHeads =
    known(counted.kvHeads) ?? keyHeads(flow, key, undefined, heads, headDim) ?? declaredHeads(flow, key) ?? heads;
  const parts = { normed, keys: undefined, values: undefined, weighed, edges: undefined };
  return { pattern: { operator }, ...parts, heads, kvHeads, headDim };
}

/** The value that weighs the values, and the product of queries and keys it comes from. */
interface Softmax {
  readonly tensor: string;
  /** The other factor of that product, and what it gives. */
  readonly values: string;
  readonly weighed: string | undefined;
  /** What the softmax reads. */
  readonly input: string;
  readonly scores: Node | undefined;
}

function siteOf(flow: Flow, nodes: ReadonlySet<Node>): Softmax | { operator: Node } | undefined {
  const inOrder = [...nodes].sort((a, b) => depthOf(flow, a) - depthOf(flow, b));
  const operator = inOrder.find(isFusedAttention);
  if (operator) return { operator };
  const found: Softmax[] = [];
  for (const node of inOrder) {
    const weighed = isSoftmax(flow, node) && weighing(flow, node.outputs[0] ?? '', nodes);
    if (weighed) found.push({ ...weighed, input: node.inputs[0] ?? '', scores: scoresOf(flow, node) });
  }
  // A softmax of a product of queries and keys before one of something else, e.g. over the taps of a kernel.
  return found.find(({ scores }) => scores !== undefined) ?? found[0];
}

const depthOf = (flow: Flow, node: Node) => flow.depth(node.outputs.find((output) => output !== '') ?? '');

/** A softmax, as one operator or as exp(x) / sum(exp(x)). */
function isSoftmax(flow: Flow, node: Node): boolean {
  if (node.op === 'Softmax') return true;
  if (node.op !== 'Div') return false;
  const numerator = stripped(flow, node.inputs[0] ?? '');
  if (flow.producer(numerator)?.op !== 'Exp') return false;
  const denominator = stepsBack(flow, node.inputs[1] ?? '', 4);
  return denominator.some((step) => step.op === 'ReduceSum' && flow.reads(step).includes(numerator));
}

function stepsBack(flow: Flow, value: string, steps: number): Node[] {
  const node = flow.producer(value);
  if (!node || steps === 0) return [];
  return [node, ...flow.reads(node).flatMap((input) => stepsBack(flow, input, steps - 1))];
}

/** The probabilities as they enter the product with the values, on the way from a softmax's output, and that product. */
function weighing(
  flow: Flow,
  softmax: string,
  within: ReadonlySet<Node>,
): Pick<Softmax, 'tensor' | 'values' | 'weighed'> | undefined {
  const seen = new Set([softmax]);
  const open = [softmax];
  for (let value = open.shift(); value !== undefined; value = open.shift()) {
    for (const node of flow.consumers(value)) {
      if (!within.has(node)) continue;
      const pair = factors(node);
      if (pair) {
        const other: string = pair[0] === value ? pair[1] : pair[0];
        if (flow.isConstant(other) || other === value) continue;
        return { tensor: exact(flow, value), values: exact(flow, other), weighed: node.outputs[0] };
      } else if (isPointwise(node)) {
        for (const output of node.outputs)
          if (output !== '' && !seen.has(output)) {
            seen.add(output);
            open.push(output);
          }
      }
    }
  }
  return undefined;
}

/** `value` before the casts and quantisations of the product that reads it; reshapes stay, they may drop columns. */
function exact(flow: Flow, value: string): string {
  const node = flow.producer(value);
  const input = node?.inputs[0];
  if (
    !node ||
    !input ||
    !['Cast', 'Identity', 'Dropout', 'QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear'].includes(node.op)
  )
    return value;
  return exact(flow, input);
}

/** The product of queries and keys that a softmax reads. */
function scoresOf(flow: Flow, softmax: Node): Node | undefined {
  const seen = new Set<string>();
  const open = [...flow.reads(softmax)];
  for (let value = open.shift(); value !== undefined && seen.size < 256; value = open.shift()) {
    const node = flow.producer(value);
    if (!node || seen.has(value)) continue;
    seen.add(value);
    const pair = factors(node);
    if (pair && !flow.isConstant(pair[0]) && !flow.isConstant(pair[1]) && !isMask(flow, node)) return node;
    if (isPointwise(node)) for (const one of flow.reads(node)) open.push(one);
  }
  return undefined;
}

/** A product without any weight above it (rotary tables, relative positions) is no product of queries and keys. */
const isMask = (flow: Flow, node: Node) =>
  (factors(node) ?? []).some((side) => projections(flow, side).products.length === 0);

/**
 * What is added to the scores and computed, by a product, from a graph input that is no mask: activations of edges.
 * Pairs of tokens have them, so the input has an axis more than the tokens' features.
 */
function edgesOf(flow: Flow, { input, scores }: Softmax): string | undefined {
  const product = scores?.outputs[0];
  const seen = new Set<string>();
  const open = [input];
  for (let value = open.shift(); value !== undefined && seen.size < 256; value = open.shift()) {
    const node = flow.producer(value);
    if (!node || seen.has(value) || node === scores) continue;
    seen.add(value);
    if (isSum(node) && product !== undefined) {
      const [side] = flow.reads(node).filter((term) => term !== product && !leadsTo(flow, product, term));
      const edges = side === undefined ? [] : projections(flow, side).products;
      const isOfInput = edges.some(({ activation }) => flow.model.graph.inputs.some(({ name }) => name === activation));
      if (isOfInput && side !== undefined) return exact(flow, side);
    }
    if (isPointwise(node)) for (const one of flow.reads(node)) open.push(one);
  }
  return undefined;
}

const leadsTo = (flow: Flow, from: string, to: string) => between(flow, from, to) !== undefined;

/** Products whose result is no number of the model's own yet: it is scaled afterwards. */
const isIntegerProduct = (node: Node) => /Integer$|^QLinear|^QGemm/.test(node.op);

interface Projections {
  readonly products: readonly WeightProduct[];
  /** Targets of the reshapes of these products that can split columns into heads, nearest to the weight first. */
  readonly targets: readonly PartialVector[];
}

/** The weight products that queries or keys come from, and how they are split into heads on the way. */
function projections(flow: Flow, value: string): Projections {
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

/** Heads of a pattern in the graph. */
function headsOf(flow: Flow, site: Softmax, width: number | undefined) {
  const [query, key] = (site.scores && factors(site.scores)) ?? ['', ''];
  const queries = projections(flow, query);
  const cache = cacheExtents(flow);
  const split = splitOf(queries);
  const isPacked = queries.products[0]?.node === projections(flow, key).products[0]?.node;
  // Of the queries of all heads; values may be of another width.
  const columns = isPacked ? width : queries.products[0]?.columns;
  const heads =
    declaredExtents(flow, site.tensor)?.at(-3) ??
    ratio(columns, cache?.headDim) ??
    (split && split.length < 5 ? known(split.at(-2)) : undefined) ??
    ratio(columns, known(split?.at(-1))) ??
    ratio(width, known(split?.at(-1)));
  const headDim = ratio(width, heads);
  const kvHeads = cache?.kvHeads ?? keyHeads(flow, key, queries.products[0], heads, headDim) ?? heads;
  return { heads, kvHeads, headDim };
}

/** The target of the reshape that splits a product's columns into heads: [batch, tokens, heads, head_dim] or so. */
function splitOf({ targets, products }: Projections): PartialVector | undefined {
  const columns = products[0]?.columns;
  const splits = targets.filter(
    (target) => target.length > 3 || ratio(columns, known(target.at(-2))) === (known(target.at(-1)) ?? 0),
  );
  return splits.find((target) => known(target.at(-2)) ?? known(target.at(-1))) ?? splits[0];
}

/** Key/value heads by the columns that keys have: all of their own product, or a part of one for Q, K and V. */
function keyHeads(
  flow: Flow,
  key: string,
  queryProduct: WeightProduct | undefined,
  heads: number | undefined,
  headDim: number | undefined,
): number | undefined {
  const { products } = projections(flow, key);
  const [product] = products;
  const units = products.length === 1 ? ratio(product?.columns, headDim) : undefined;
  if (units === undefined || heads === undefined) return undefined;
  const shared = product?.node === queryProduct?.node || units > heads;
  return shared ? ratio(units - heads, 2) && (units - heads) / 2 : units;
}

/** What a key/value cache among the inputs declares: [batch, key/value heads, past tokens, head_dim]. */
function cacheExtents(flow: Flow): { kvHeads: number; headDim: number } | undefined {
  for (const { shape, type } of flow.model.graph.inputs) {
    const [kvHeads, past, headDim] = shape?.length === 4 ? shape.slice(1) : [];
    const numeric = typeof kvHeads === 'number' && typeof headDim === 'number' && typeof past !== 'number';
    if (numeric && type !== DataType.int64 && type !== DataType.bool) return { kvHeads, headDim };
  }
  return undefined;
}

const known = (extent: number | undefined) => (extent !== undefined && extent > 0 ? extent : undefined);

function ratio(whole: number | undefined, part: number | undefined): number | undefined {
  return whole && part && whole % part === 0 ? whole / part : undefined;
}

/** Heads of queries or keys that have an axis for them: [batch, heads, tokens, head_dim]. */
function declaredHeads(flow: Flow, value: string): number | undefined {
  const extents = declaredExtents(flow, value);
  return extents?.length === 4 ? extents[1] : undefined;
}
