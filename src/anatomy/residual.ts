/**
 * The residual stream as a chain of additions.
 *
 * A residual addition is a sum (or a difference) of which one term, the skip, is also what the other terms, the
 * branches, are computed from through at least one matrix product or attention. A stream is the longest chain in
 * which each skip comes from the addition before by pointwise operators alone (nothing in a pre-norm model, a norm in
 * a post-norm model). Unlike dominators, a chain survives what passes it by: shared keys and values, value residuals,
 * per-layer inputs; and what a branch adds to its own inside (a short convolution) is no link of it.
 */
import type { Node } from '../onnx/model.js';
import { type Addition, additionsOf, type Branch, maxInnerAdditions, rootOf } from './addition.js';
import { Changes } from './copies.js';
import { type Allowance, between, type Flow, stripped } from './flow.js';
import { isFusedAttention } from './operators/table.js';
import { carries, factors, isIndex, isMixer, isPassThrough, isPointwise, isSum } from './ops.js';
import { rearranged, wholeAdditions } from './partial.js';
import { addedBefore, operatorsTo, pointBefore, through, unmixed, withBias, withoutOwn } from './points.js';
import { towersOf } from './towers.js';

/** An addition of the stream, and the residual points that it reads and leaves. */
export interface Step extends Addition {
  readonly from: string;
  readonly to: string;
  /** The operators that carry the sum to `to`; undefined where something else of the stream is added between. */
  readonly ending: readonly string[] | undefined;
  /** What is added to `from` before a branch reads it, as an input that every block takes in again. */
  readonly added: readonly string[];
}

export interface ResidualStream {
  /** Each begins at the point where the one before ends. */
  readonly steps: readonly Step[];
  /** The points that the first step reads and the last one leaves. */
  readonly from: string;
  readonly to: string;
  /** Lengths of further chains that hold attention and are no streams of their own: stages of other widths. */
  readonly others: readonly number[];
  /** What blocks leave in further copies of the stream, each a value of its own (AltUp); the first is the stream. */
  readonly copies: ReadonlySet<string>;
}

/** How far a skip term is followed back through pointwise operators to what the branch reads. */
const maxSkipSteps = 8;

/**
 * Values that may be looked at for each node of the graph while branches are looked for, and for a small graph at least.
 * Models take fewer than 30; graphs in which every addition goes back to the first one would take a square of them.
 */
const work = { each: 256, least: 100_000 };

/** Branches that one addition may have in several sums (experts, one after another), and chains that go on beside each other. */
const most = { branches: 512, chains: 64 };

/**
 * The residual streams of a graph that can be looked at by themselves (see `towersOf`), the one that is shown where
 * nothing else is asked for first; none where there is no chain of residual additions.
 */
export function residualStreams(flow: Flow): readonly ResidualStream[] {
  const walk = new Walk(flow);
  for (const node of flow.model.graph.nodes) walk.visit(node);
  const chains = [...walk.chains.values()].sort((a, b) => b.length - a.length);
  const { towers, others } = towersOf(flow, chains, walk.joins);
  return towers.map((last) => streamOf(flow, walk, last, others));
}

function streamOf(flow: Flow, walk: Walk, last: Addition, others: readonly Addition[]): ResidualStream {
  const to = lastPoint(flow, walk, last);
  const steps: Step[] = [];
  let point = to;
  for (const addition of wholeAdditions(flow, walk.from, additionsOf(last)).reverse()) {
    const from = addition.whole ?? pointBefore(flow, walk, addition);
    // What gives a change back is no way that another block's sum could be followed along: it needs what it began with.
    const ending = walk.changes.returns.has(addition) ? undefined : operatorsTo(flow, walk, point, addition.sum);
    steps.push({ ...addition, from, to: point, ending, added: addedBefore(flow, walk, from, addition) });
    point = from;
  }
  steps.reverse();
  const [first] = steps;
  if (first) steps[0] = { ...first, from: withoutOwn(flow, steps) };
  const copies = new Set(additionsOf(last).flatMap((addition) => walk.changes.returns.get(addition)?.beside ?? []));
  return { steps, from: steps[0]?.from ?? point, to, others: others.map(({ length }) => length), copies };
}

/** One pass over the nodes in topological order. */
class Walk {
  /** The last addition of each chain, by its first one's skip. */
  readonly chains = new Map<string, Addition>();
  /** The addition a value comes from by pointwise operators alone. */
  private readonly chain = new Map<string, Addition>();
  /** The pointwise step before: the input a value carries on. */
  readonly from = new Map<string, string>();
  /** Where the rows of several streams are joined, as joint blocks leave them to those that know one stream (Flux). */
  readonly joins = new Set<string>();
  /** What blocks took out and gave back. */
  readonly changes: Changes;
  /** The latest additions among a value's ancestors, one for each chain. */
  private readonly latest = new Map<string, readonly Addition[]>();
  /** How deep the deepest node that transforms is above a value: branches without one are none. */
  private readonly transformed = new Map<string, number>();
  private readonly allowance: Allowance;

  constructor(private readonly flow: Flow) {
    this.changes = new Changes(flow, this.chain);
    this.allowance = { left: Math.max(work.least, work.each * flow.model.graph.nodes.length) };
  }

  visit(node: Node): void {
    const inputs = this.flow.reads(node);
    if (inputs.length === 0) return;
    const deepest = inputs.reduce((most, input) => Math.max(most, this.transformed.get(input) ?? 0), 0);
    for (const output of node.outputs)
      if (output !== '') this.transformed.set(output, transforms(node) ? this.flow.depth(output) : deepest);
    const addition = inputs.length > 1 ? this.addition(node, inputs) : undefined;
    const latest = addition ? [addition] : [];
    // What a branch adds to its own inside ends with the branch, however many additions that are.
    const ended = new Set<Addition>();
    for (const candidate of inputs.flatMap((input) => this.latest.get(input) ?? [])) {
      if (addition && rootOf(candidate) === rootOf(addition)) ended.add(candidate);
      else keepLatest(latest, candidate);
    }
    // What a position was counted from does not go on in the row of a table that it chooses.
    const going = inputs.filter((input) => !isIndex(node, input));
    const carried = carries(node) && going.length > 0 ? this.longestOf(going) : undefined;
    for (const [index, output] of node.outputs.entries()) {
      if (output === '') continue;
      if (latest.length > 0) this.latest.set(output, latest);
      // The scale and zero point of a dynamic quantisation say nothing of the value.
      if (carried === undefined || (index > 0 && isPassThrough(node))) continue;
      this.from.set(output, carried);
      const chain = addition ?? (this.hasMoreRows(node, inputs) ? undefined : this.chain.get(carried));
      if (chain) this.chain.set(output, chain);
    }
    if (!addition) this.changes.visit(node, inputs);
    else this.lengthen(addition, ended);
  }

  /**
   * Whether rows of others stand behind or before those of a stream from here on: other streams', or rows that are of
   * none (a class token that joins late). What was cut from the stream before, and is only put together again, are none.
   */
  private hasMoreRows(node: Node, inputs: readonly string[]): boolean {
    if (node.op !== 'Concat' || inputs.length === 0) return false;
    const whole = node.inputs.flatMap((input) => this.wholeChain(input) ?? []);
    const streams = new Set(whole.map(rootOf));
    if (streams.size > 1) for (const output of node.outputs) this.joins.add(output);
    const [root] = streams;
    if (!root || streams.size > 1) return streams.size > 1;
    const whence = rearranged(this.flow, root.skip).at(-1) ?? root.skip;
    return node.inputs.some((input) => !this.chain.has(input) && !between(this.flow, whence, input, this.allowance));
  }

  /** The chain that a value has all rows of. */
  private wholeChain(input: string): Addition | undefined {
    const chain = this.chain.get(input);
    for (let value: string | undefined = input; chain && value !== chain.sum; value = this.from.get(value ?? '')) {
      const node = value === undefined ? undefined : this.flow.producer(value);
      if (!node || picks.has(node.op)) return undefined;
    }
    return chain;
  }

  private lengthen(addition: Addition, ended: ReadonlySet<Addition>): void {
    const root = rootOf(addition).skip;
    const before = this.chains.get(root);
    if (!before || ended.has(before) || isLonger(addition, before)) this.chains.set(root, addition);
  }

  private longestOf(inputs: readonly string[]): string {
    const length = (value: string) => this.chain.get(value)?.length ?? 0;
    return inputs.reduce((best, input) => (length(input) > length(best) ? input : best));
  }

  private addition(node: Node, terms: readonly string[]): Addition | undefined {
    let best: Addition | undefined;
    for (const term of skipsOf(node, terms)) {
      const found = this.withSkip(
        node,
        term,
        terms.filter((other) => other !== term),
      );
      if (found && found.length > (best?.length ?? 0)) best = found;
    }
    const carried = this.chain.get(this.longestOf(terms));
    if (!best || !carried || best.length > carried.length) return best;
    // As long is a parallel block, or one whose branch ends in an addition of its own; not a sum that goes on from a
    // later one and takes in where the stream began.
    const goesOn = unmixed(this.flow, carried.skip) === best.skip && carried.branches[0] !== best.branches[0];
    return best.length < carried.length || goesOn ? undefined : best;
  }

  /** The addition in which `term` is the skip and `others` the branches, if it is one. */
  private withSkip(node: Node, term: string, others: readonly string[]): Addition | undefined {
    const previous = this.chain.get(term);
    const [sum = ''] = node.outputs;
    if (others.length === 0) return undefined;
    if (others.every((other) => this.mayBranchFrom(other, previous, term))) {
      for (const skip of this.back(term, previous)) {
        const branches = this.branches(skip, others);
        if (!branches) continue;
        return { node, ...this.unreshaped(skip, branches), sum, previous, length: 1 + (previous?.length ?? 0) };
      }
    }
    // (h + attention) + mlp, both read from h: one sum in two nodes, a parallel block.
    const beside = (other: string) => !this.latest.get(other)?.includes(previous as Addition);
    if (
      previous &&
      previous.branches.length < most.branches &&
      others.every((other) => beside(other) && this.mayBranchFrom(other, previous.previous, previous.skip))
    ) {
      const branches = this.branches(previous.skip, others);
      // In (h − n) · z + n the same branch is taken off before it is added.
      const known = previous.branches.map(({ output }) => output);
      const more = branches?.filter(({ output }) => !known.includes(output));
      if (more) return { ...previous, node, sum, branches: [...previous.branches, ...more] };
    }
    return undefined;
  }

  /**
   * The skip as it was before it was given another shape for a gate alone, which reads it beside the branch: a cell of
   * a GRU takes rows of all tokens of all sequences, and what computes the branch reads the stream as it is.
   */
  private unreshaped(skip: string, branches: readonly Branch[]): Pick<Addition, 'skip' | 'branches'> {
    const before = stripped(this.flow, skip);
    const wider =
      before === skip
        ? undefined
        : this.branches(
            before,
            branches.map(({ output }) => output),
          );
    const isMore = wider?.some(({ nodes }, i) =>
      [...nodes].some((node) => transforms(node) && !branches[i]?.nodes.has(node)),
    );
    return wider && isMore ? { skip: before, branches: wider } : { skip, branches };
  }

  private branches(skip: string, outputs: readonly string[]): Branch[] | undefined {
    const depth = this.flow.depth(skip);
    if (outputs.some((output) => (this.transformed.get(output) ?? 0) <= depth)) return undefined;
    const branches: Branch[] = [];
    for (const output of outputs) {
      const nodes = between(this.flow, skip, output, this.allowance);
      if (!nodes || ![...nodes].some(transforms)) return undefined;
      branches.push({ output, nodes });
    }
    return branches;
  }

  /**
   * Cheap necessary condition: the latest addition above a branch is the one that the skip comes from, or was made
   * inside the branch; above the first branches of a stream are only additions that are above its skip too (an
   * encoder's, an earlier stage's).
   */
  private mayBranchFrom(branch: string, previous: Addition | undefined, skip: string): boolean {
    const latest = this.latest.get(branch) ?? [];
    if (previous) return latest.some((addition) => follows(addition, previous));
    const above = this.latest.get(skip) ?? [];
    return latest.every((addition) => addition.length <= maxInnerAdditions || above.includes(addition));
  }

  /**
   * `term` and what it carries on, back to the addition before. Before the first one nothing tells which of a gate and
   * what it scales goes on: both are tried.
   */
  private *back(term: string, previous: Addition | undefined): Generator<string> {
    const open = [term];
    const seen = new Set(open);
    const given = previous && this.changes.returns.get(previous);
    const ends = [previous?.sum, given?.own, ...(given?.beside ?? [])];
    for (let value = open.shift(); value !== undefined && seen.size <= 2 * maxSkipSteps; value = open.shift()) {
      yield value;
      if (ends.includes(value)) return;
      const before = this.from.get(value);
      const node = previous ? undefined : this.flow.producer(value);
      const others = node && before !== undefined && carries(node) && !isPassThrough(node) ? this.flow.reads(node) : [];
      for (const next of [before, ...others])
        if (next !== undefined && !seen.has(next)) {
          seen.add(next);
          open.push(next);
        }
      if (previous && seen.size > maxSkipSteps) return;
    }
  }
}

/** What leaves some rows out, makes an axis that is none of rows, or has joined parts. */
const picks = new Set('Slice Split Gather GatherElements GatherND Unsqueeze Concat'.split(' '));

/** The terms that may be the skip: of a sum any, of a difference what is subtracted from. */
function skipsOf(node: Node, terms: readonly string[]): readonly string[] {
  if (isSum(node)) return terms;
  return node.op === 'Sub' ? terms.slice(0, 1) : [];
}

/** Whether `addition` is `previous` or was made from it, a few additions later. */
function follows(addition: Addition, previous: Addition): boolean {
  let at: Addition | undefined = addition;
  for (let step = 0; at && at.length > previous.length && step < maxInnerAdditions; step++) at = at.previous;
  return at === previous;
}

/** A later sum of one parallel block goes on where an earlier one was as long. */
const isLonger = (addition: Addition, than: Addition) =>
  addition.length > than.length || (addition.length === than.length && addition.skip === than.skip);

function keepLatest(list: Addition[], candidate: Addition): void {
  const root = rootOf(candidate);
  const index = list.findIndex((addition) => rootOf(addition) === root);
  const known = list[index];
  if (!known) {
    list.push(candidate);
    // The shortest of them is the first that no block goes on from.
    if (list.length > most.chains) list.splice(list.indexOf(list.reduce((a, b) => (b.length < a.length ? b : a))), 1);
  } else if (candidate.length > known.length) list[index] = candidate;
}

const transforms = (node: Node): boolean =>
  factors(node) !== undefined || isFusedAttention(node) || isMixer(node) || !isPointwise(node);

/**
 * What the last addition leaves: the last block ends as the others do, so the operators between an earlier addition
 * and its residual point (a norm in post-norm models, a bias, usually none) are followed from the last one too.
 */
function lastPoint(flow: Flow, walk: Walk, last: Addition): string {
  const own = walk.changes.returns.get(last)?.own;
  if (own !== undefined) return own;
  for (const addition of [last.previous, last]) {
    if (!addition?.previous) continue;
    const operators = operatorsTo(flow, walk, pointBefore(flow, walk, addition), addition.previous.sum);
    const end = operators && through(flow, last.sum, operators);
    if (end !== undefined && end !== last.sum) return end;
  }
  return withBias(flow, last, last.sum);
}

/**
 * The stream with a last point that is like the end of the block before: after the same operators that follow `like`.
 * The last block of a model ends as the others do; which step is another block's last is for blocks to tell.
 *
 * @param like the last step of another block, or one inside of the only block
 */
export function endedLike(flow: Flow, { steps, ...stream }: ResidualStream, like: Step | undefined): ResidualStream {
  const last = steps.at(-1);
  const to = last && like?.ending && through(flow, last.sum, like.ending);
  if (!last || to === undefined) return { ...stream, steps };
  const end = to === last.sum ? withBias(flow, last, to) : to;
  return { ...stream, to: end, steps: [...steps.slice(0, -1), { ...last, to: end }] };
}
