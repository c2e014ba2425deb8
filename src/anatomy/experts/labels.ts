/**
 * What the values of a branch with experts are to its routing: scores of all experts, numbers of the chosen ones, which
 * ones were chosen, matrices picked for them, and the stream on its way through them.
 */
import { intAttribute, intsAttribute, type Node } from '../../onnx/model.js';
import type { Flow } from '../flow.js';
import { factors, isPassThrough, isSum } from '../ops.js';
import { type WeightProduct, weightProduct } from '../products.js';

/** How scores of all experts were made of the router's product. */
type Scoring = 'logits' | 'softmax' | 'sigmoid' | 'other';

/** Numbers of each token for all experts, [T, E], for the chosen ones, [T, k], or one, [T, 1]. */
export interface Numbers {
  readonly kind: 'numbers';
  readonly of: 'all' | 'chosen' | 'token';
  /** The last value that holds them all in this order; undefined where what was made since cannot be followed. */
  readonly root: string | undefined;
  /** Whether experts come first in `root`, and in the value itself. */
  readonly rootTurned: boolean;
  readonly turned: boolean;
  /** Whether the value has the elements of `root` and no others. */
  readonly whole: boolean;
  /** Whether axes were added or places picked since, so that a number meets a vector. */
  readonly shaped: boolean;
  readonly by: Scoring;
  /** Which choice the numbers belong to. */
  readonly choice: string | undefined;
}

export type Label =
  | Numbers
  /** Which experts were chosen, [T, k]. */
  | { readonly kind: 'indices'; readonly choice: string }
  /** Weights picked from a constant stack: for each token and choice in order, or otherwise. */
  | { readonly kind: 'matrix'; readonly aligned: boolean }
  /** Masks, places of tokens and whatever else comes of the choice alone. */
  | { readonly kind: 'place'; readonly aligned: boolean }
  /** Comes of the stream itself: through a product other than the router's, and then weighed by numbers. */
  | { readonly kind: 'stream'; readonly expert: boolean; readonly weighed: boolean };

type Stream = Extract<Label, { kind: 'stream' }>;

/** Where numbers of the routing multiply the stream. */
export interface Meeting {
  readonly numbers: Numbers;
  readonly stream: Stream;
  /** What is multiplied. */
  readonly value: string;
}

/** One of the choices of a routing: the value that holds it, how many experts it is of, and along which axis. */
export interface Choice {
  readonly value: string;
  readonly count: number | undefined;
  /** As the operator states it; -1 is the last. */
  readonly axis: number;
}

export const isChoice = ({ op }: Node): boolean => op === 'TopK' || op === 'ArgMax';
export const isMixture = ({ op }: Node): boolean => op === 'MoE' || op === 'QMoE';

const reductions = ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceL2', 'ReduceSumSquare'];
const picks = ['Gather', 'GatherND', 'GatherElements', 'Slice', 'Split'];
const scatters = ['ScatterElements', 'ScatterND'];
const arithmetic = new Set(
  'Add Sub Mul Div Pow Sum Neg Abs Exp Log Sqrt Reciprocal Relu Sigmoid Softmax Tanh Softplus Clip Max Min Where Softsign Erf'.split(
    ' ',
  ),
);

export class Labels {
  readonly of = new Map<string, Label>();
  readonly meetings: Meeting[] = [];
  readonly choices = new Map<string, Choice>();
  /** The router's probabilities of all experts. */
  scores: { readonly value: string; readonly kind: 'softmax' | 'sigmoid' } | undefined;
  /** Something of the stream that no number weighs is added to what the experts give. */
  shared = false;

  constructor(
    private readonly flow: Flow,
    private readonly router: WeightProduct,
    private readonly count: (node: Node) => number | undefined,
    skip: string,
  ) {
    this.of.set(skip, { kind: 'stream', expert: false, weighed: false });
  }

  /** The values of a node whose inputs have theirs. */
  visit(node: Node): void {
    const reads = this.flow.reads(node).filter((value) => this.of.has(value));
    if (reads.length === 0) return;
    const [output = ''] = node.outputs;
    if (node === this.router.node) {
      const turned = this.flow.isConstant(factors(node)?.[0] ?? '');
      this.of.set(output, numbers({ of: 'all', root: output, turned, rootTurned: turned, by: 'logits' }));
    } else if (isChoice(node)) this.choose(node);
    else {
      const label = this.labelOf(node, reads);
      for (const one of node.outputs) if (one !== '') this.of.set(one, label);
    }
  }

  private choose(node: Node): void {
    const [first = '', second = ''] = node.outputs;
    const from = this.of.get(node.inputs[0] ?? '');
    if (from?.kind !== 'numbers' || from.of !== 'all' || !from.whole || from.turned) {
      const label: Label = from?.kind === 'stream' ? from : { kind: 'place', aligned: false };
      for (const one of node.outputs) this.of.set(one, label);
      return;
    }
    const isTop = node.op === 'TopK';
    const value = isTop ? second : first;
    const choice = isTop ? second : `largest of ${from.root}`;
    this.choices.set(choice, {
      value,
      count: isTop ? this.count(node) : 1,
      axis: intAttribute(node, 'axis', isTop ? -1 : 0),
    });
    this.of.set(value, { kind: 'indices', choice });
    if (isTop) this.of.set(first, numbers({ of: 'chosen', root: first, by: 'other', choice }));
  }

  private labelOf(node: Node, reads: readonly string[]): Label {
    const labels = reads.map((value) => this.of.get(value)).filter((label) => label !== undefined);
    const streams = labels.filter((label) => label.kind === 'stream');
    if (streams.length > 0) return this.streamOf(node, reads, labels, streams);
    const [data = ''] = node.inputs;
    const from = this.of.get(data);
    if (picks.includes(node.op)) return this.pickOf(node, data, from, labels);
    if (scatters.includes(node.op)) return this.scattered(node, labels);
    if (node.op === 'Concat') return this.joined(node, labels);
    if ((isPassThrough(node) || node.op === 'Transpose' || node.op === 'Tile') && from) return laidOut(node, from);
    const amounts = labels.filter((label) => label.kind === 'numbers');
    if (amounts.length > 0 && reductions.includes(node.op)) return reduced(node, amounts);
    if (amounts.length > 0 && (arithmetic.has(node.op) || factors(node))) return this.made(node, amounts, labels);
    if (labels.every(({ kind }) => kind === 'matrix') && !factors(node)) return labels[0] as Label;
    const aligned = arithmetic.has(node.op) && labels.some(isAligned) && labels.every(isAligned);
    return { kind: 'place', aligned };
  }

  private streamOf(node: Node, reads: readonly string[], labels: readonly Label[], streams: readonly Stream[]): Stream {
    const amounts = labels.filter((label) => label.kind === 'numbers');
    const [only] = streams;
    const pair = factors(node);
    let weighed = streams.some((stream) => stream.weighed);
    const [amount] = amounts;
    if (amount && only && (node.op === 'Mul' || node.op === 'Div' || pair)) {
      const value = reads.find((read) => this.of.get(read) === only) ?? '';
      this.meetings.push({ numbers: pair ? { ...amount, shaped: true } : amount, stream: only, value });
      weighed = true;
    }
    if (isSum(node) && weighed && streams.some((stream) => stream.expert && !stream.weighed)) this.shared = true;
    const isProduct = pair !== undefined && amounts.length === 0;
    const expert = isProduct || isMixture(node) || streams.some((stream) => stream.expert);
    return { kind: 'stream', expert, weighed: weighed || isMixture(node) };
  }

  private pickOf(node: Node, data: string, from: Label | undefined, labels: readonly Label[]): Label {
    if (from?.kind === 'numbers') {
      const index = this.of.get(node.inputs[1] ?? '');
      if (node.op === 'GatherElements' && from.of === 'all' && from.whole && !from.turned && index?.kind === 'indices')
        return numbers({ of: 'chosen', root: node.outputs[0], by: 'other', choice: index.choice });
      return { ...from, whole: false, shaped: true };
    }
    if (from === undefined && this.flow.isConstant(data))
      return { kind: 'matrix', aligned: labels.some(isAligned) && labels.every(isAligned) };
    return from?.kind === 'matrix' ? { kind: 'matrix', aligned: false } : { kind: 'place', aligned: false };
  }

  /** Numbers of the chosen put in their places among all, or places of all overwritten. */
  private scattered(node: Node, labels: readonly Label[]): Label {
    const [data, index, update] = node.inputs.slice(0, 3).map((value) => this.of.get(value));
    const choice = index?.kind === 'indices' ? index.choice : undefined;
    const root = node.outputs[0];
    const source =
      update?.kind === 'numbers' ? update : data?.kind === 'numbers' && data.of === 'all' ? data : undefined;
    const fits = source?.whole === true && !source.turned && choice !== undefined;
    if (fits) return numbers({ of: 'all', root, by: 'other', choice: source === update ? choice : source.choice });
    if (labels.some(({ kind }) => kind === 'numbers')) return numbers({ of: 'all', root: undefined, by: 'other' });
    return { kind: 'place', aligned: false };
  }

  private joined(node: Node, labels: readonly Label[]): Label {
    const [output] = node.outputs;
    const all = node.inputs.length === labels.length;
    if (all && labels.every((label) => label.kind === 'indices')) {
      const choices = labels.map(({ choice }) => choice);
      const parts = choices.map((choice) => this.choices.get(choice));
      const choice = choices.join(' and ');
      const counts = parts.map((part) => part?.count);
      const count = counts.every((one) => one !== undefined) ? counts.reduce((sum, one) => sum + one, 0) : undefined;
      this.choices.set(choice, { value: output ?? '', count, axis: intAttribute(node, 'axis', -1) });
      return { kind: 'indices', choice };
    }
    if (all && labels.every((label) => label.kind === 'numbers' && label.choice !== undefined)) {
      const own = labels.filter((label) => label.kind === 'numbers');
      const choice = own.map((label) => label.choice).join(' and ');
      const followed = own.every(({ whole, turned, root }) => whole && !turned && root !== undefined);
      return numbers({ of: 'chosen', root: followed ? output : undefined, by: 'other', choice });
    }
    const [first] = labels.filter((label) => label.kind === 'numbers');
    return first ? { ...first, root: undefined } : { kind: 'place', aligned: false };
  }

  /** What arithmetic makes of numbers, constants and masks. */
  private made(node: Node, amounts: readonly Numbers[], labels: readonly Label[]): Label {
    const [root] = node.outputs;
    const main =
      amounts.find(({ of }) => of === 'all') ?? amounts.find(({ of }) => of === 'chosen') ?? (amounts[0] as Numbers);
    const masked = labels.some(({ kind }) => kind !== 'numbers');
    const choice =
      main.choice ?? amounts.find((amount) => amount.choice !== undefined && amount.of !== 'token')?.choice;
    // A mask over all experts gives numbers of the chosen an axis more: still the same numbers.
    if (masked && main.of !== 'all') return { ...main, whole: false, shaped: true };
    const others = amounts.filter(({ of }) => of !== 'token');
    const followed =
      main.whole && others.every(({ of, whole, turned }) => of === main.of && whole && turned === main.turned);
    const by = scoringOf(node, main, labels.length);
    if (by !== main.by && followed && !main.turned && main.of === 'all' && (by === 'softmax' || by === 'sigmoid'))
      this.scores ??= { value: root ?? '', kind: by };
    return { ...main, root: followed ? root : undefined, rootTurned: main.turned, by, choice };
  }
}

const isAligned = (label: Label) => label.kind === 'indices' || ('aligned' in label && label.aligned);

function numbers(known: Partial<Numbers> & Pick<Numbers, 'of' | 'by' | 'root'>): Numbers {
  return { kind: 'numbers', rootTurned: false, turned: false, whole: true, shaped: false, choice: undefined, ...known };
}

/** The same elements in another shape, order or number. */
function laidOut(node: Node, from: Label): Label {
  if (from.kind !== 'numbers')
    return from.kind === 'place' && node.op === 'Transpose' ? { ...from, aligned: false } : from;
  if (node.op === 'Cast' || node.op === 'Identity') return from;
  if (node.op === 'Expand' || node.op === 'Tile') return { ...from, whole: false, shaped: true };
  if (node.op !== 'Transpose') return { ...from, shaped: true };
  const perm = intsAttribute(node, 'perm') ?? [1, 0];
  const isSwap = perm.length === 2 && perm[0] === 1;
  return isSwap ? { ...from, turned: !from.turned, shaped: true } : { ...from, whole: false, shaped: true };
}

/** One number of each token; sums of numbers that a mask had spread are these numbers again. */
function reduced(node: Node, amounts: readonly Numbers[]): Label {
  const [from] = amounts;
  if (!from?.whole) return { ...(from as Numbers), shaped: true };
  const choice = node.op === 'ReduceMax' && from.of === 'all' ? `largest of ${from.root}` : undefined;
  return numbers({ of: 'token', root: choice === undefined ? undefined : node.outputs[0], by: 'other', choice });
}

function scoringOf(node: Node, { by }: Numbers, count: number): Scoring {
  if (by !== 'logits' || count > 1) return 'other';
  if (node.op === 'Softmax') return 'softmax';
  if (node.op === 'Sigmoid') return 'sigmoid';
  return ['Add', 'Sub', 'Mul', 'Div'].includes(node.op) ? 'logits' : 'other';
}

/** The products with weights that `value` is made by within `nodes`, not looking beyond them. */
export function productsAbove(flow: Flow, value: string, nodes: ReadonlySet<Node>): readonly WeightProduct[] {
  const found = new Map<Node, WeightProduct>();
  const seen = new Set([value]);
  const open = [value];
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    const node = flow.producer(current);
    if (!node || !nodes.has(node)) continue;
    const product = weightProduct(flow, node);
    if (product) found.set(node, product);
    else
      for (const read of flow.reads(node))
        if (!seen.has(read)) {
          seen.add(read);
          open.push(read);
        }
  }
  return [...found.values()];
}
