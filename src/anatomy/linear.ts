/**
 * The linear layers of a model: what each tensor that products with a weight read is, and which products read it. It
 * is these tensors that a quantiser of activations rounds, and these products that it replaces.
 */
import { indexGraph } from '../onnx/graph.js';
import type { Model, Node } from '../onnx/model.js';
import type { Anatomy, Block } from './anatomy.js';
import { isMixture } from './experts/labels.js';
import { type Flow, flowOf, stripped } from './flow.js';
import { endOf } from './head.js';
import { homesOf } from './homes.js';
import { tableRoot } from './inputs/tables.js';
import { type Multiplication, multiplication } from './multiplication.js';

/** What a tensor is to its block. */
export type LinearPart =
  | 'attn_in' // what queries, keys and values are projected from
  | 'attn_latent' // a latent that queries, keys or values are projected from in turn
  | 'low_rank' // between the two products of a low-rank one
  | 'attn_out' // what the output projection of the attention reads
  | 'mlp_in'
  | 'mlp_out' // what the last product of the MLP reads
  | 'expert_in' // of one expert of a mixture, or of several that read the same
  | 'expert_out'
  | 'router' // what chooses the experts
  | 'embedding' // on the way to h_0
  | 'head' // what the output head reads
  | 'beside' // computed from something else than the residual stream: a condition, edges, positions
  | 'other';

/** In the order in which one names a tensor that is several. */
const order: readonly LinearPart[] = [
  'attn_in',
  'mlp_out',
  'mlp_in',
  'expert_in',
  'attn_out',
  'attn_latent',
  'expert_out',
  'low_rank',
  'head',
  'router',
  'embedding',
  'beside',
  'other',
];

/** A product with a weight, or an operator with such products inside. */
export interface LinearProduct extends Multiplication {
  readonly part: LinearPart;
  /** The initializers that its weights are made of, as the file names them. */
  readonly stored: readonly string[];
}

/** A tensor, and the products with a weight that read it. */
export interface LinearInput {
  /** 1-based; 0 is what comes before h_0, L + 1 what comes after h_L. */
  readonly block: number;
  /** Of the products' parts the first in the order of a block. */
  readonly part: LinearPart;
  /** A value of the prepared graph, in floats: before it is quantised, and cast, for the product. */
  readonly tensor: string;
  /** The axis of `tensor` that is multiplied, from the end: the others are rows. */
  readonly axis: number;
  /** In the order of the graph. */
  readonly products: readonly LinearProduct[];
}

/**
 * Every tensor that a product with a weight reads: what several read is one entry. Lookups of tables and convolutions
 * with neighbours are no such products, nor are those of two activations, or of a weight with one number.
 *
 * @param model flat, as `prepare` gives it, before patterns are rebuilt: that adds products to the graph
 * @returns in the order of the graph
 */
export function linearInputs(model: Model, anatomy: Anatomy): readonly LinearInput[] {
  const flow = flowOf(model);
  const homes = homesOf(model.graph, indexGraph(model.graph), anatomy);
  const all = model.graph.nodes.flatMap((node) => multiplication(flow, node) ?? []);
  const parts = partsOf(flow, homes, anatomy, all);
  const groups = new Map<string, { readonly block: number; readonly products: LinearProduct[] }>();
  for (const found of all) {
    const { node, tensor, axis, weights } = found;
    const block = homes.get(tensorHome(homes, node)) ?? besideBlock(flow, homes, node);
    const part = parts.get(node) ?? (!homes.has(tensor) ? 'beside' : block === 0 ? 'embedding' : 'other');
    const key = `${block} ${axis} ${stripped(flow, tensor)}`;
    const group = groups.get(key) ?? { block, products: [] };
    groups.set(key, group);
    group.products.push({ ...found, part, stored: weights.map((weight) => tableRoot(flow, weight) ?? weight) });
  }
  return [...groups.values()].flatMap(({ block, products }) => {
    const [first] = products;
    if (!first) return [];
    const part = order.find((one) => products.some((product) => product.part === one)) ?? 'other';
    return [{ block, part, tensor: first.tensor, axis: first.axis, products }];
  });
}

const tensorHome = (homes: ReadonlyMap<string, number>, { outputs }: Node) =>
  outputs.find((output) => homes.has(output)) ?? '';

/** The block where what lies beside the main path meets it; 0 where it never does. */
function besideBlock(flow: Flow, homes: ReadonlyMap<string, number>, node: Node): number {
  const seen = new Set<string>(node.outputs);
  const met: number[] = [];
  const open = [...node.outputs];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    for (const reader of flow.consumers(value))
      for (const output of reader.outputs) {
        if (output === '' || seen.has(output)) continue;
        seen.add(output);
        const home = homes.get(output);
        if (home === undefined) open.push(output);
        else met.push(home);
      }
  }
  return met.length > 0 ? met.reduce((least, home) => Math.min(least, home)) : 0;
}

/** By node: what its product is to its block. Those of no known part are left out. */
function partsOf(
  flow: Flow,
  homes: ReadonlyMap<string, number>,
  anatomy: Anatomy,
  all: readonly Multiplication[],
): ReadonlyMap<Node, LinearPart> {
  const parts = new Map<Node, LinearPart>();
  const products = new Map(all.map((found) => [found.node, found]));
  const last = anatomy.layers + 1;
  for (const [index, block] of anatomy.blocks.entries()) {
    const k = index + 1;
    const within = (node: Node) => node.outputs.some((output) => homes.get(output) === k);
    const inBlock = all.filter(({ node, tensor }) => within(node) && homes.has(tensor));
    const walk: Walk = { flow, products, within, from: anatomy.blocks[index - 1]?.residPost ?? anatomy.embedding };
    for (const product of inBlock) if (isLowRank(walk, product)) parts.set(product.node, 'low_rank');
    nameAttention(walk, block, parts);
    nameMlp(walk, block, inBlock, parts);
    nameExperts(walk, block, inBlock, parts);
  }
  const head = endOf(flow, anatomy.blocks.at(-1)?.residPost ?? anatomy.embedding)?.product?.node;
  for (const { node } of all)
    if (tensorHome(homes, node) !== '' && homes.get(tensorHome(homes, node)) === last && node === head)
      parts.set(node, 'head');
  return parts;
}

/** Ways through the nodes of one block. */
interface Walk {
  readonly flow: Flow;
  readonly products: ReadonlyMap<Node, Multiplication>;
  readonly within: (node: Node) => boolean;
  /** The residual point that the block reads. */
  readonly from: string;
}

/** Multiplies what another product gives as it is: the second of a low-rank pair. */
function isLowRank({ flow, products }: Walk, { tensor }: Multiplication): boolean {
  const maker = flow.producer(stripped(flow, tensor));
  return maker !== undefined && products.get(maker)?.side !== undefined;
}

/** Where the ways back from a value end inside the block. */
interface Sources {
  /** The products that they meet first. */
  readonly products: readonly Multiplication[];
  /** Whether one of them leads out of the block without meeting any. */
  readonly stream: boolean;
}

function sourcesOf(walk: Walk, value: string, until: readonly string[] = []): Sources {
  const { flow, products, within, from } = walk;
  const found = new Set<Multiplication>();
  let stream = false;
  const seen = new Set<string>([value]);
  const open = [value];
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    const node = flow.producer(current);
    if (current === from || until.includes(current) || (node && !within(node) && !flow.isConstant(current))) {
      stream ||= current === from || until.includes(current) || node !== undefined;
      continue;
    }
    if (!node) continue;
    const product = products.get(node);
    if (product && !isLowRank(walk, product)) found.add(product);
    else
      for (const input of product ? [product.tensor] : flow.reads(node))
        if (!seen.has(input)) {
          seen.add(input);
          open.push(input);
        }
  }
  return { products: [...found], stream };
}

/** The products that are met first on the ways on from a value. */
function readersOf({ flow, products, within }: Walk, value: string, until: ReadonlySet<string>): Multiplication[] {
  const found = new Set<Multiplication>();
  const seen = new Set<string>([value]);
  const open = [value];
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    if (until.has(current)) continue;
    for (const node of flow.consumers(current)) {
      const product = products.get(node);
      if (product) found.add(product);
      else if (within(node))
        for (const output of node.outputs)
          if (output !== '' && !seen.has(output)) {
            seen.add(output);
            open.push(output);
          }
    }
  }
  return [...found];
}

function nameAttention(walk: Walk, { attention, residMid, residPost }: Block, parts: Map<Node, LinearPart>): void {
  if (!attention) return;
  const { weighed, pattern } = attention;
  const operator = 'operator' in pattern ? walk.products.get(pattern.operator) : undefined;
  const starts = operator ? [operator] : weighed === undefined ? [] : sourcesOf(walk, weighed).products;
  const open = [...starts];
  for (let product = open.pop(); product !== undefined; product = open.pop()) {
    if (parts.has(product.node)) continue;
    const { products, stream } = sourcesOf(walk, product.tensor);
    const isLatent = !stream && products.length > 0;
    parts.set(product.node, isLatent ? 'attn_latent' : 'attn_in');
    if (isLatent) for (const source of products) open.push(source);
  }
  if (weighed === undefined) return;
  const ends = new Set([residMid ?? residPost, residPost]);
  for (const { node } of readersOf(walk, weighed, ends)) if (!parts.has(node)) parts.set(node, 'attn_out');
}

function nameMlp(
  walk: Walk,
  { mlpIntermediate, residMid }: Block,
  inBlock: readonly Multiplication[],
  parts: Map<Node, LinearPart>,
): void {
  if (mlpIntermediate === undefined) return;
  const read = stripped(walk.flow, mlpIntermediate);
  for (const { node, tensor } of inBlock)
    if (stripped(walk.flow, tensor) === read && !parts.has(node)) parts.set(node, 'mlp_out');
  const until = residMid === undefined ? [] : [residMid];
  for (const { node } of sourcesOf(walk, mlpIntermediate, until).products)
    if (!parts.has(node)) parts.set(node, 'mlp_in');
}

/** What chooses experts leads to a TopK, or into the operator that holds them all; the rest of the block is experts. */
function nameExperts(
  walk: Walk,
  { residMid }: Block,
  inBlock: readonly Multiplication[],
  parts: Map<Node, LinearPart>,
): void {
  const until = residMid === undefined ? [] : [residMid];
  const open = inBlock.filter(({ node }) => !parts.has(node));
  const mixtures = open.filter(({ node }) => isMixture(node));
  const choosing = [
    ...open.filter(({ node }) => leadsToChoice(walk, node)),
    ...mixtures.flatMap(({ node }) => sourcesOf(walk, node.inputs[1] ?? '', until).products),
  ];
  if (choosing.length === 0 && mixtures.length === 0) return;
  for (const { node } of choosing) if (!parts.has(node)) parts.set(node, 'router');
  for (const { node, tensor } of open) {
    if (parts.has(node)) continue;
    const { products } = sourcesOf(walk, tensor, until);
    parts.set(node, products.some((product) => parts.get(product.node) !== 'router') ? 'expert_out' : 'expert_in');
  }
}

function leadsToChoice({ flow, products, within }: Walk, from: Node): boolean {
  const open = [...from.outputs];
  const seen = new Set(open);
  for (let value = open.pop(); value !== undefined; value = open.pop())
    for (const node of flow.consumers(value)) {
      if (node.op === 'TopK') return node.inputs[0] === value;
      if (products.has(node) || !within(node)) continue;
      for (const output of node.outputs)
        if (output !== '' && !seen.has(output)) {
          seen.add(output);
          open.push(output);
        }
    }
  return false;
}
