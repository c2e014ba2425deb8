/**
 * Where a branch weighs values: a product of values with weights that come from a product of queries and keys. What
 * lies between the two products tells an attention from a linear one: a softmax in whatever form, or another function
 * of each score (a sigmoid, a ReLU), with heads mixed by constants before or after, but some function.
 */
import { intAttribute, type Node } from '../onnx/model.js';
import type { Branch } from './addition.js';
import type { Weighting } from './anatomy.js';
import { between, type Flow, stripped } from './flow.js';
import { isFloat } from './inputs/types.js';
import { isFusedAttention } from './operators/table.js';
import { factors, isPictureConvolution, isPointwise } from './ops.js';
import { matrixOf } from './products.js';
import { projections } from './projections.js';

/** The weights that values are multiplied by, and the product of queries and keys that they come from. */
export interface Site {
  /** The weights before casts and quantisation. */
  readonly tensor: string;
  /** How their axes are exchanged to be [..., heads, queries, keys]; undefined where they are so. */
  readonly perm: readonly number[] | undefined;
  /** What the weighed values are divided by afterwards, where that makes the weights what they are. */
  readonly divisor: string | undefined;
  readonly values: string;
  /** Weights times values, divided where that is put off. */
  readonly weighed: string;
  readonly product: Node;
  readonly scores: Node | undefined;
  readonly weighting: Weighting;
}

/** Where a way back is given up. */
const maxVisits = 256;

/** A square of constants that is larger mixes no heads. */
const mostHeads = 256;

/** Operators that leave more of a score than a factor and a term, or the mask of one. */
const functions = new Set(
  'Softmax LogSoftmax Exp Sigmoid HardSigmoid Relu LeakyRelu Softplus Pow Clip Max Abs Elu Celu Selu Gelu Tanh'.split(
    ' ',
  ),
);
/** Those that look at more than one score of a row. */
const normalising = new Set('Softmax LogSoftmax TopK CumSum Sort'.split(' '));

/** The sites of a branch in the order of their depth, or the operator that hides the first of them, and how many others do. */
export function sitesOf(
  flow: Flow,
  { nodes }: Branch,
): readonly Site[] | { readonly operator: Node; readonly further: number } {
  const depth = (node: Node) => flow.depth(node.outputs.find((output) => output !== '') ?? '');
  const inOrder = [...nodes].map((node) => ({ node, at: depth(node) })).sort((a, b) => a.at - b.at);
  const [operator, ...further] = inOrder.filter(({ node }) => isFusedAttention(node));
  if (operator) return { operator: operator.node, further: further.length };
  const sites: Site[] = [];
  // From the end, so that a product that is known to give scores is not looked at.
  const known = new Set<Node>();
  for (const { node } of inOrder.toReversed()) {
    const site = known.has(node) ? undefined : siteAt(flow, node, nodes);
    if (site) sites.unshift(site);
    if (site?.scores) known.add(site.scores);
  }
  // A softmax of a product of queries and keys before one of something else, e.g. over the taps of a kernel.
  const scored = sites.filter(({ scores }) => scores !== undefined);
  return unmixing(flow, ofTokens(flow, scored.length > 0 ? scored : sites));
}

/** Without sites whose weights weigh the rows of a table as well (relative positions), where others weigh tokens' values. */
function ofTokens(flow: Flow, sites: readonly Site[]): readonly Site[] {
  const own = sites.filter(({ values }) => projections(flow, values).products.length > 0 || isGiven(flow, values));
  return own.length > 0 ? own : sites;
}

/** Without products that mix heads by what the tokens themselves make: their result is part of what weighs values. */
function unmixing(flow: Flow, sites: readonly Site[]): readonly Site[] {
  const mixed = (site: Site, by: Site) => {
    const way = site === by ? undefined : between(flow, by.weighed, site.tensor);
    return way !== undefined && [...way].every(isPointwise);
  };
  return sites
    .filter((by) => !sites.some((site) => mixed(site, by)))
    .map((site) => (sites.some((by) => mixed(site, by)) ? { ...site, weighting: 'other' } : site));
}

/** `product` as one of weights and values. */
function siteAt(flow: Flow, product: Node, within: ReadonlySet<Node>): Site | undefined {
  const pair = factors(product);
  if (!pair || pair[0] === pair[1] || pair.some(flow.isConstant)) return undefined;
  for (const side of [0, 1] as const) {
    const [weights, values] = [pair[side], pair[1 - side] as string];
    if (isPicked(flow, values, within)) continue;
    const way = wayOf(flow, weights, within);
    if (!way || (!way.scores && isStack(flow, values))) continue;
    const tensor = exact(flow, weights);
    const perm = permOf(product, side);
    const division = way.weighting === 'softmax' ? undefined : divisionOf(flow, product.outputs[0] ?? '', tensor);
    const [weighed = product.outputs[0] ?? ''] = division?.outputs ?? [];
    const divisor = division?.inputs[1];
    const weighting = divisor === undefined ? way.weighting : 'other';
    return { ...way, tensor, perm, divisor, values: exact(flow, values), weighed, product, weighting };
  }
  return undefined;
}

/**
 * Rows of a weight that the branch itself picks for each token, as an expert of one neuron is (PEER, Doge): no token's
 * values.
 */
function isPicked(flow: Flow, values: string, within: ReadonlySet<Node>): boolean {
  const pick = searched(flow, values, within, (node) => {
    const [table = '', rows = ''] = node.inputs;
    const by = node.op === 'Gather' && flow.isConstant(table) ? flow.producer(rows) : undefined;
    if (by && within.has(by)) return 'found';
    return isPointwise(node) && flow.reads(node).length === 1 ? 'on' : 'end';
  });
  return pick !== undefined;
}

/**
 * States put side by side along an axis of their own, as those of earlier layers are from which each token mixes what a
 * branch reads: with weights that no queries and keys make, no token looks at another.
 */
export function isStack(flow: Flow, values: string): boolean {
  const stack = searched(flow, values, undefined, (node) => {
    if (node.op === 'Concat') return flow.reads(node).length > 1 ? 'found' : 'end';
    return isPointwise(node) && flow.reads(node).length === 1 ? 'on' : 'end';
  });
  return stack?.inputs.every((part) => ['Unsqueeze', 'Reshape'].includes(flow.producer(part)?.op ?? '')) === true;
}

type Way = Pick<Site, 'scores' | 'weighting'>;

/** How weights come from scores; undefined where they do not, or with no function between. */
function wayOf(flow: Flow, weights: string, within: ReadonlySet<Node>): Way | undefined {
  let way: Way | undefined;
  searched(flow, weights, within, (node) => {
    if (factors(node)?.some(flow.isConstant)) return mixesHeads(flow, node) ? 'on' : 'end';
    if (factors(node)) {
      const found = wayFrom(flow, node, weights);
      if (found && !isMask(flow, node)) way = found;
      return way ? 'found' : 'end';
    }
    return isPointwise(node) || functions.has(node.op) || normalising.has(node.op) ? 'on' : 'end';
  });
  if (way) return way;
  // Queries and keys may be multiplied in a way that is no product, or be no two things.
  const softmax = searched(flow, weights, within, (node) =>
    isSoftmax(flow, node) ? 'found' : isPointwise(node) ? 'on' : 'end',
  );
  return softmax && { scores: undefined, weighting: 'softmax' };
}

/** The first node on the ways back from `value` that is what is looked for. */
function searched(
  flow: Flow,
  value: string,
  within: ReadonlySet<Node> | undefined,
  judge: (node: Node) => 'found' | 'on' | 'end',
): Node | undefined {
  const seen = new Set([value]);
  const open = [value];
  for (let next = open.shift(); next !== undefined && seen.size < maxVisits; next = open.shift()) {
    const node = flow.producer(next);
    if (!node || within?.has(node) === false) continue;
    const verdict = judge(node);
    if (verdict === 'found') return node;
    if (verdict === 'end') continue;
    for (const input of flow.reads(node))
      if (!seen.has(input)) {
        seen.add(input);
        open.push(input);
      }
  }
  return undefined;
}

/** How `weights` come from the product `scores`. */
function wayFrom(flow: Flow, scores: Node, weights: string): Way | undefined {
  const nodes = [...(between(flow, scores.outputs[0] ?? '', weights) ?? [])];
  const softmax = nodes.find((node) => isSoftmax(flow, node));
  const isNormed = softmax !== undefined || nodes.some((node) => isNormalised(flow, node));
  const applied = nodes.some(({ op, inputs }) => functions.has(op) || (op === 'Mul' && inputs[0] === inputs[1]));
  if (!isNormed && !applied) return undefined;
  if (!softmax) {
    const rows = nodes.some(({ op }) => normalising.has(op) || op.startsWith('Reduce'));
    return { scores, weighting: rows || nodes.some((node) => mixesHeads(flow, node)) ? 'other' : 'elementwise' };
  }
  // What is done to probabilities makes something else of them.
  const after = [...(between(flow, softmax.outputs[0] ?? '', weights) ?? [])];
  const changed = after.some(
    (node) => mixesHeads(flow, node) || functions.has(node.op) || node.op === 'Sub' || node.op === 'TopK',
  );
  const chosen = nodes.some(({ op }) => op === 'TopK');
  return { scores, weighting: changed || chosen ? 'other' : 'softmax' };
}

/** A softmax, as one operator or as exp(x) / sum(exp(x)) or exp(log(softmax(x))). */
function isSoftmax(flow: Flow, node: Node): boolean {
  if (node.op === 'Softmax') return true;
  if (node.op === 'Exp') return flow.producer(stripped(flow, node.inputs[0] ?? ''))?.op === 'LogSoftmax';
  return isNormalised(flow, node) && flow.producer(stripped(flow, node.inputs[0] ?? ''))?.op === 'Exp';
}

/** x / sum(x). */
function isNormalised(flow: Flow, node: Node): boolean {
  if (node.op !== 'Div') return false;
  const numerator = stripped(flow, node.inputs[0] ?? '');
  const denominator = stepsBack(flow, node.inputs[1] ?? '', 4);
  return denominator.some((step) => step.op === 'ReduceSum' && flow.reads(step).includes(numerator));
}

function stepsBack(flow: Flow, value: string, steps: number): Node[] {
  const node = flow.producer(value);
  if (!node || steps === 0) return [];
  return [node, ...flow.reads(node).flatMap((input) => stepsBack(flow, input, steps - 1))];
}

/** The division of weighed values by what is made of the sum of their weights: a normalisation put off. */
function divisionOf(flow: Flow, weighed: string, weights: string): Node | undefined {
  for (let value = weighed, step = 0; step < 8; step++) {
    const [node, ...others] = flow.consumers(value);
    if (!node || others.length > 0) return undefined;
    if (node.op === 'Div' && node.inputs[0] === value) {
      const [, divisor = ''] = node.inputs;
      const sums = stepsBack(flow, divisor, 6).some(
        (sum) => sum.op === 'ReduceSum' && stripped(flow, sum.inputs[0] ?? '') === stripped(flow, weights),
      );
      return sums ? node : undefined;
    }
    if (!copying.includes(node.op)) return undefined;
    [value = ''] = node.outputs;
  }
  return undefined;
}

/** A product with a square of constants, as between heads (talking heads), or a convolution over scores. */
function mixesHeads(flow: Flow, node: Node): boolean {
  const constant = factors(node)?.find(flow.isConstant);
  if (constant === undefined) return false;
  const extents = matrixOf(flow, constant)?.filter((extent) => extent !== 1) ?? [];
  const [rows = 0, columns] = extents;
  return (extents.length === 2 && rows === columns && rows <= mostHeads) || isPictureConvolution(node);
}

/** A product of what no weight is above (rotary tables, relative positions) is none of queries and keys. */
const isMask = (flow: Flow, node: Node) =>
  (factors(node) ?? []).some((side) => projections(flow, side).products.length === 0 && !isGiven(flow, side));

/** Keys that a file takes as an encoder's were made (past keys of cross-attention): floats, turned and scaled at most. */
function isGiven(flow: Flow, value: string): boolean {
  const node = flow.producer(value);
  if (!node) return flow.model.graph.inputs.some((info) => info.name === value && isFloat(info));
  const [only, ...others] = isPointwise(node) ? flow.reads(node) : [];
  return only !== undefined && others.length === 0 && isGiven(flow, only);
}

const copying = ['Cast', 'Identity', 'Dropout', 'QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear'];

/** `value` before the casts and quantisations of the product that reads it; reshapes stay, they may drop columns. */
export function exact(flow: Flow, value: string): string {
  const node = flow.producer(value);
  const input = node?.inputs[0];
  return node && input && copying.includes(node.op) ? exact(flow, input) : value;
}

/**
 * How the axes of factor `side` of `product` are exchanged to be [..., heads, queries, keys], see `PatternPart`: keys
 * are what the product sums over, queries what the values do not have.
 */
function permOf(product: Node, side: 0 | 1): readonly number[] | undefined {
  const equation = product.attributes.get('equation');
  if (equation?.kind === 'string') return einsumPerm(equation.value, side);
  const isTransposed = intAttribute(product, side === 0 ? 'transA' : 'transB', 0) === 1;
  return (side === 0) === isTransposed ? [0, 2, 1] : undefined;
}

/** @param equation as `bhqk,bkhd->bqhd`, or with an ellipsis for leading axes */
function einsumPerm(equation: string, side: 0 | 1): readonly number[] | undefined {
  const [terms = '', result = ''] = equation.replaceAll(/\s|\.\.\./g, '').split('->');
  const [weights = '', values = ''] = side === 0 ? terms.split(',') : terms.split(',').reverse();
  const keys = [...weights].filter((axis) => values.includes(axis) && !result.includes(axis));
  const queries = [...weights].filter((axis) => !values.includes(axis) && result.includes(axis));
  const others = [...weights].filter((axis) => !keys.includes(axis) && !queries.includes(axis));
  const order = [...others, ...queries, ...keys].join('');
  if (order === weights || equation.includes('...')) return undefined;
  return [...order].map((axis) => weights.indexOf(axis));
}
