/** Attention sites: where a branch's pattern is, and how many heads it has. */
import { DataType, intAttribute, intsAttribute, type Node } from '../onnx/model.js';
import type { Branch } from './addition.js';
import type { Attention, PatternPart } from './anatomy.js';
import { type Beside, headsBeside } from './beside.js';
import { declaredExtents, type PartialVector, partialVector } from './extents.js';
import { between, type Flow, stripped } from './flow.js';
import { countedHeads, inputAs, outputAs } from './operators/table.js';
import { factors, isPointwise, isSum } from './ops.js';
import { branchProduct, type WeightProduct, weightProduct } from './products.js';
import { type Projections, projections } from './projections.js';
import { exact, type Site, sitesOf } from './sites.js';

/** What was found in a branch. */
export interface FoundAttention {
  readonly attention: Attention;
  /** Patterns of the branch that are no heads of this attention. */
  readonly further: number;
  /** What the output projection multiplies beside what was weighed, as one vector with it: an MLP's intermediate. */
  readonly beside: Joined | undefined;
}

/** A part of the vectors that a product multiplies, and its elements. */
export interface Joined {
  readonly value: string;
  readonly width: number | undefined;
}

/** The attention of a branch, or undefined where it weighs no values and holds no fused operator. */
export function attentionOf(flow: Flow, branch: Branch): FoundAttention | undefined {
  const found = sitesOf(flow, branch);
  const { output } = branch;
  const projection = branchProduct(flow, branch);
  const projected = projection && (isIntegerProduct(projection.node) ? output : projection.node.outputs[0]);
  const weighed = 'operator' in found ? outputAs(found.operator, 'weighed') : found[0]?.weighed;
  if (weighed === undefined) return undefined;
  const joined = projection && joinedWith(flow, projection, weighed);
  const width = joined ? joined.own : projection?.rows;
  // Of two parts in one product nothing tells what each of them adds.
  const ends = joined ? { output: undefined, projected: undefined } : { output, projected };
  const beside = joined?.beside;
  if ('operator' in found) {
    // Of heads in operators of their own (one by one) only those of the first are known to be what they are.
    const inside = ofOperator(flow, found.operator, found.further > 0 ? undefined : width);
    return { attention: { ...ends, ...inside }, further: found.further, beside };
  }
  const [first] = found;
  if (!first) return undefined;
  const heads = headsBeside(flow, found, branch);
  const inside = heads ? ofParts(flow, heads, width) : ofSite(flow, first, width);
  return { attention: { ...ends, ...inside }, further: heads ? 0 : found.length - 1, beside };
}

/**
 * Attention and an MLP that one product takes back to the stream: what it multiplies is both, side by side in one vector.
 *
 * @returns the elements of what was weighed, and the other part; undefined where there is no one other part
 */
function joinedWith(
  flow: Flow,
  { activation, rows }: WeightProduct,
  weighed: string,
): { readonly own: number | undefined; readonly beside: Joined } | undefined {
  const node = flow.producer(activation);
  if (node?.op !== 'Concat' || node.inputs.length !== 2) return undefined;
  const [own, ...more] = node.inputs.filter((input) => input === weighed || leadsTo(flow, weighed, input));
  const value = node.inputs.find((input) => input !== own);
  if (own === undefined || value === undefined || more.length > 0) return undefined;
  const axis = intAttribute(node, 'axis', 0);
  const rank = [activation, own, value].map((one) => declaredExtents(flow, one)?.length).find((found) => found);
  if (axis !== -1 && axis + 1 !== (rank ?? 3)) return undefined;
  const [ours, theirs] = [own, value].map((one) => widthOf(flow, one));
  const less = (part: number | undefined) => (rows !== undefined && part !== undefined ? rows - part : undefined);
  return { own: ours ?? less(theirs), beside: { value, width: theirs ?? less(ours) } };
}

/** Elements of a value's vectors, where the file states them: by a shape, a cut, or the product that makes them. */
function widthOf(flow: Flow, value: string, depth = 0, seen = new Set<string>()): number | undefined {
  const stated = known(declaredExtents(flow, value)?.at(-1));
  const node = flow.producer(value);
  // Each once: sums of sums of the same would be as many ways as the product of their terms.
  if (stated !== undefined || !node || depth > maxWidthSteps || seen.has(value)) return stated;
  seen.add(value);
  if (node.op === 'Reshape') return known(partialVector(flow, node.inputs[1] ?? '')?.at(-1));
  if (node.op === 'Split') {
    const sizes = intsAttribute(node, 'split') ?? partialVector(flow, node.inputs[1] ?? '');
    return sizes?.[node.outputs.indexOf(value)];
  }
  const product = weightProduct(flow, node);
  if (product) return product.columns;
  if (!isPointwise(node) || ['Slice', 'Concat', 'Transpose'].includes(node.op) || node.op.startsWith('Gather'))
    return undefined;
  for (const input of flow.reads(node)) {
    const width = widthOf(flow, input, depth + 1, seen);
    if (width !== undefined) return width;
  }
  return undefined;
}

const maxWidthSteps = 12;

type Inside = Omit<Attention, 'output' | 'projected'>;

/**
 * Attention whose weights are a value of the graph.
 *
 * @param width elements of all heads' values together: rows of the output projection.
 */
function ofSite(flow: Flow, site: Site, width: number | undefined): Inside {
  const { tensor, values, weighed, scores, perm, divisor, weighting } = site;
  const [query, keys] = (scores && factors(scores)) ?? [];
  const normed = query === undefined ? undefined : projections(flow, query).products[0]?.activation;
  const edges = edgesOf(flow, site);
  const isPlain = perm === undefined && divisor === undefined;
  const pattern = isPlain ? { tensor } : { parts: [{ tensor, perm, divisor, keys, values }] };
  return { pattern, weighting, normed, queries: query, keys, values, weighed, edges, ...headsOf(flow, site, width) };
}

/** Attention whose heads are computed one by one, or a few at a time. */
function ofParts(flow: Flow, { sites, weighed }: Beside, width: number | undefined): Inside {
  const [first] = sites;
  // Weights that several values are weighed by (DiffLlama's halves) are those of one head.
  const own = sites.filter(({ tensor }, index) => sites.findIndex((site) => site.tensor === tensor) === index);
  const isShared = own.length < sites.length;
  const each = headsOf(flow, first, own.length === 1 ? width : undefined);
  const count = (heads: number | undefined, of: ReadonlySet<string>) => (heads ?? 1) * of.size;
  const heads = count(each.heads, new Set(own.map(({ tensor }) => tensor)));
  const parts = own.map(({ tensor, perm, divisor, values, scores }): PatternPart => {
    return { tensor, perm, divisor, values: isShared ? undefined : values, keys: scores && factors(scores)?.[1] };
  });
  return {
    ...ofSite(flow, first, width),
    pattern: { parts },
    queries: undefined,
    keys: undefined,
    values: undefined,
    weighed,
    heads,
    kvHeads: count(each.kvHeads, new Set(own.map(({ values }) => stripped(flow, values)))),
    headDim: ratio(width, heads),
  };
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
  const parts = { normed, queries: undefined, keys: undefined, values: undefined, weighed, edges: undefined };
  return { pattern: { operator }, weighting: 'softmax', ...parts, heads, kvHeads, headDim };
}

/**
 * What is added to the scores and computed, by a product, from a graph input that is no mask: activations of edges.
 * Pairs of tokens have them, so the input has an axis more than the tokens' features.
 */
function edgesOf(flow: Flow, { tensor, scores }: Site): string | undefined {
  const product = scores?.outputs[0];
  const seen = new Set<string>();
  const open = [tensor];
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
    if (isPointwise(node) || node.op === 'Softmax') for (const one of flow.reads(node)) open.push(one);
  }
  return undefined;
}

const leadsTo = (flow: Flow, from: string, to: string) => between(flow, from, to) !== undefined;

/** Products whose result is no number of the model's own yet: it is scaled afterwards. */
const isIntegerProduct = (node: Node) => /Integer$|^QLinear|^QGemm/.test(node.op);

/** Heads of a pattern in the graph. */
function headsOf(flow: Flow, site: Site, width: number | undefined) {
  const [query, key] = (site.scores && factors(site.scores)) ?? ['', ''];
  const queries = projections(flow, query);
  const cache = cacheExtents(flow);
  const extents = declaredExtents(flow, site.tensor);
  const headAxis = site.perm && site.perm.length > 3 ? (site.perm.at(-3) ?? -3) : -3;
  const isPacked = queries.products[0]?.node === projections(flow, key).products[0]?.node;
  const split = headAxes(splitOf(queries, isPacked), queries.products[0]?.columns);
  // Of the queries of all heads; values may be of another width.
  const columns = isPacked ? width : queries.products[0]?.columns;
  const heads =
    extents?.at(headAxis) ??
    ratio(columns, cache?.headDim) ??
    (split && split.length < 5 ? known(split.at(-2)) : undefined) ??
    ratio(columns, known(split?.at(-1))) ??
    ratio(width, known(split?.at(-1)));
  const headDim = ratio(width, heads);
  const kvHeads = cache?.kvHeads ?? keyHeads(flow, key, queries.products[0], heads, headDim) ?? heads;
  return { heads, kvHeads, headDim };
}

/**
 * The axes of heads and of a head's vector in the target of a reshape: the last two, unless their product is not the
 * columns and that of two others is, as where the tokens lie last.
 */
function headAxes(target: PartialVector | undefined, columns: number | undefined): PartialVector | undefined {
  if (!target || columns === undefined) return target;
  for (let at = target.length - 1; at > 0; at--) {
    const pair = target.slice(at - 1, at + 1);
    if ((pair[0] ?? 0) > 0 && (pair[0] ?? 0) * (pair[1] ?? 0) === columns) return pair;
  }
  return target;
}

/**
 * The target of the reshape that splits a product's columns into heads: [batch, tokens, heads, head_dim] or so. Three parts
 * of a size that is not known are, where queries and keys come from one product, these and the values.
 */
function splitOf({ targets, products }: Projections, isPacked = false): PartialVector | undefined {
  const columns = products[0]?.columns;
  const splits = targets.filter((target) => {
    if (isPacked && known(target.at(-2)) === 3 && target.at(-1) === undefined) return false;
    return target.length > 3 || ratio(columns, known(target.at(-2))) === (known(target.at(-1)) ?? 0);
  });
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
  if (products.length !== 1 || !product) return undefined;
  // What else lies in the columns of one product with them (an MLP's, as in PaLM) is cut off before heads are split.
  const cut = ratio(columnsCut(flow, product, key), headDim);
  if (cut !== undefined) return cut;
  const units = ratio(product.columns, headDim);
  if (units === undefined || heads === undefined) return undefined;
  const shared = product.node === queryProduct?.node || units > heads;
  return shared ? ratio(units - heads, 2) && (units - heads) / 2 : units;
}

/** How many of a product's columns `value` is made of, where these are cut out of them before anything else. */
function columnsCut(flow: Flow, { node, columns }: WeightProduct, value: string): number | undefined {
  const leads = (out: string) => out === value || leadsTo(flow, out, value);
  let from = node.outputs[0] ?? '';
  for (let step = 0; step < maxWidthSteps; step++) {
    const [next, ...others] = flow.consumers(from).filter(({ outputs }) => outputs.some(leads));
    if (!next || others.length > 0) return undefined;
    if (next.op === 'Split') {
      const sizes = intsAttribute(next, 'split') ?? partialVector(flow, next.inputs[1] ?? '') ?? [];
      const own = sizes.filter((_, part) => leads(next.outputs[part] ?? ''));
      return own.length === 1 && sizes.reduce((sum: number, size) => sum + (size ?? 0), 0) === columns
        ? own[0]
        : undefined;
    }
    if (next.op === 'Slice') {
      const [axis, start, end] = [3, 1, 2].map((input) => partialVector(flow, next.inputs[input] ?? '')?.[0]);
      const isOfColumns = axis === -1 || (axis !== undefined && axis + 1 === declaredExtents(flow, from)?.length);
      if (!isOfColumns || columns === undefined || start === undefined || end === undefined) return undefined;
      const place = (at: number) => Math.min(at < 0 ? at + columns : at, columns);
      return place(end) - place(start);
    }
    if (!['Add', 'Cast', 'Identity'].includes(next.op)) return undefined;
    [from = ''] = next.outputs;
  }
  return undefined;
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
