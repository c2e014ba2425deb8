/** Heads that are computed one by one: equal sites of a branch whose results are put side by side. */
import { intsAttribute, type Node } from '../onnx/model.js';
import type { Branch } from './addition.js';
import { partialVector } from './extents.js';
import { between, type Flow } from './flow.js';
import { factors, isPassThrough, isSum } from './ops.js';
import { projections } from './projections.js';
import type { Site } from './sites.js';

/** Sites that are heads of one attention, in the order of its heads. */
export interface Beside {
  readonly sites: readonly [Site, ...Site[]];
  /** Their results together, where they are one value. */
  readonly weighed: string | undefined;
}

/** All of these sites as heads of one attention; undefined where they are not alike or not put side by side. */
export function headsBeside(flow: Flow, sites: readonly Site[], branch: Branch): Beside | undefined {
  const [first, ...others] = sites;
  if (!first || others.length === 0) return undefined;
  const form = formOf(flow, first);
  if (form === undefined || others.some((site) => formOf(flow, site) !== form)) return undefined;
  const places = sites.map((site) => concatOf(flow, site.weighed, branch.nodes));
  const [concat] = places;
  if (concat && places.every((place) => place?.node === concat.node)) {
    const order = inOrder(sites, (site) => places[sites.indexOf(site)]?.index ?? 0);
    return order && { sites: order, weighed: concat.node.outputs[0] };
  }
  const terms = termsOf(flow, branch.output, branch.nodes);
  const termOf = (site: Site) => terms.findIndex((term) => between(flow, site.weighed, term) !== undefined);
  const order = terms.length >= sites.length ? inOrder(sites, termOf) : undefined;
  return order && { sites: order, weighed: undefined };
}

/** Sites by different places; undefined where two have the same or one has none. */
function inOrder(sites: readonly Site[], placeOf: (site: Site) => number): Beside['sites'] | undefined {
  const placed = sites.map((site) => ({ site, place: placeOf(site) })).sort((a, b) => a.place - b.place);
  const isOrder = placed.every(({ place }, i) => place >= 0 && place !== placed[i - 1]?.place);
  const [first, ...others] = placed.map(({ site }) => site);
  return isOrder && first ? [first, ...others] : undefined;
}

/** What is done from the scores to the weighed values, and to what the queries come from; undefined without scores. */
function formOf(flow: Flow, { scores, weighed, product, perm }: Site): string | undefined {
  const nodes = scores && between(flow, scores.outputs[0] ?? '', weighed);
  const [query] = (scores && factors(scores)) ?? [];
  if (!nodes || query === undefined) return undefined;
  const steps = [...nodes].map((node) => {
    const target = node.op === 'Reshape' ? partialVector(flow, node.inputs[1] ?? '') : undefined;
    return JSON.stringify([node.op, intsAttribute(node, 'perm'), target]);
  });
  const source = projections(flow, query).products[0]?.activation;
  return JSON.stringify([steps.sort(), product.op, perm, source]);
}

/** The Concat that `value` goes into as it is, and as which of its inputs. */
function concatOf(flow: Flow, value: string, within: ReadonlySet<Node>): { node: Node; index: number } | undefined {
  for (let at = value, step = 0; step < 8; step++) {
    const [node, ...others] = flow.consumers(at).filter((consumer) => within.has(consumer));
    if (!node || others.length > 0) return undefined;
    if (node.op === 'Concat') return { node, index: node.inputs.indexOf(at) };
    if (!isPassThrough(node) && node.op !== 'Transpose') return undefined;
    [at = ''] = node.outputs;
  }
  return undefined;
}

/** What a value is the sum of, in the order in which it is written. */
function termsOf(flow: Flow, value: string, within: ReadonlySet<Node>): string[] {
  const node = flow.producer(value);
  if (!node || !within.has(node)) return [value];
  const reads = flow.reads(node);
  const stack = node.op === 'ReduceSum' ? flow.producer(node.inputs[0] ?? '') : undefined;
  const isStack = stack?.op === 'Concat' && stack.inputs.every((term) => flow.producer(term)?.op === 'Unsqueeze');
  if (isSum(node) || isStack) return (isStack ? stack.inputs : reads).flatMap((term) => termsOf(flow, term, within));
  const [only] = reads;
  return isPassThrough(node) && only !== undefined ? termsOf(flow, only, within) : [value];
}
