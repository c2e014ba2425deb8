/** Where the first block begins and where the last one ends, as the blocks between tell: blocks are alike. */
import { between, type Flow, inputsAbove, stripped } from './flow.js';
import { isSum, lookup } from './ops.js';
import { unscaled } from './points.js';
import { endings } from './products.js';
import type { Step } from './residual.js';

/** h_0 before something that the first block adds to it as the others do. */
export interface Injection {
  readonly before: string;
  /** All other blocks add the like, and nothing else may be what the stream goes on from. */
  readonly isCertain: boolean;
}

/**
 * h_0 where later blocks first add something that they compute from what the stream began with (the input injection of
 * a deep equilibrium model), look up (an embedding of each block) or have in common (positions), and the first one does
 * so too; undefined where blocks add nothing of the kind.
 *
 * @param lead the addition right before the first branch of the first block, if there is one
 * @param head the first step of the first block
 * @param starts those of all later blocks
 */
export function injectionBefore(
  flow: Flow,
  lead: Step | undefined,
  head: Step,
  starts: readonly Step[],
): Injection | undefined {
  const node = lead?.node ?? flow.producer(stripped(flow, head.skip));
  const terms = node && isSum(node) ? flow.reads(node) : [];
  const branches = lead?.branches.map(({ output }) => output) ?? [];
  const isLike = (added: string) =>
    lead ? isFromStart(flow, lead, added) : terms.some((term) => areAlike(flow, term, added));
  const injecting = starts.filter(({ added }) => added.some(isLike));
  if (injecting.length === 0 || terms.length !== 2) return undefined;
  const own = terms.filter((term) =>
    lead ? branches.includes(term) : injecting.every(({ added }) => added.some((one) => areAlike(flow, term, one))),
  );
  const [before = head.from, ...others] = terms.filter((term) => !own.includes(term));
  if (own.length === 0 || others.length > 0) return undefined;
  // What would be left has to be what the inputs are made into (not the first state of a recurrent model).
  const inputs = inputsAbove(flow, before);
  if (own.some((term) => [...inputsAbove(flow, term)].some((input) => !inputs.has(input)))) return undefined;
  const isCertain = injecting.length === starts.length && own.length < terms.length;
  return { before: injecting.every((step) => isScaled(flow, step)) ? unscaled(flow, before) : before, isCertain };
}

/** Whether `value` is computed from what the stream began with before `lead`, and not from the sum. */
const isFromStart = (flow: Flow, { skip, sum }: Step, value: string): boolean =>
  stripped(flow, value) === stripped(flow, skip) ||
  (between(flow, skip, value) !== undefined && between(flow, sum, value) === undefined);

/** Whether two values are one, or rows of two tables by the same indices. */
function areAlike(flow: Flow, a: string, b: string): boolean {
  const [one, other] = [stripped(flow, a), stripped(flow, b)].map((value) => ({ value, node: flow.producer(value) }));
  if (one?.value === other?.value) return true;
  const indices = [one, other].map((each) => each?.node && lookup(each.node)?.indices);
  return indices[0] !== undefined && indices[0] === indices[1];
}

/** Whether the point that a step reads is multiplied by a constant before something is added to it. */
function isScaled(flow: Flow, { from, skip }: Step): boolean {
  const node = flow.producer(stripped(flow, skip));
  const terms = node && isSum(node) ? flow.reads(node).map((term) => stripped(flow, term)) : [];
  return !terms.includes(stripped(flow, from));
}

/** Whether two additions add what ends in products of the same sizes. */
export function addAlike(flow: Flow, a: Step, b: Step): boolean {
  const sizes = ({ branches }: Step) =>
    branches
      .flatMap(({ output }) => endings(flow, output).products.map(({ rows, columns }) => `${rows} × ${columns}`))
      .sort()
      .join();
  return sizes(a) !== '' && sizes(a) === sizes(b);
}

/**
 * Attention to other states with which blocks begin, all or some of them, and the MLPs behind it, as a letter for each
 * (Flamingo's gated layers); empty where it follows what a block itself attends to, or is a layer of its own in front of all others.
 */
export function crossingLead(kinds: string): string {
  const [before = '', ...after] = kinds.split('a');
  const end = after.pop();
  if (!/^xm*$/.test(before) || end === undefined || end.includes('x')) return '';
  const isAgain = after.some((between) => between.endsWith(before));
  return isAgain || (after.length === 0 && before === 'x') ? before : '';
}

/** What follows the last block and is the head's: additions of its own, as Medusa's heads make them. */
export interface Behind {
  readonly additions: number;
  /** Other operators stand before them than before what follows another block: a norm in a pre-norm model. */
  readonly isCertain: boolean;
}

/**
 * The additions of the last block that no other block has.
 *
 * @param kinds what the additions of each block are, a letter for each
 * @param last the steps of the last block
 * @param like a step that ends a block, or one inside of the only block
 */
export function behindBlocks(
  kinds: readonly string[],
  last: readonly Step[],
  like: Step | undefined,
): Behind | undefined {
  const [own = '', ...others] = [...kinds].reverse();
  if (others.includes(own)) return undefined;
  const ends = others.length > 0 ? others : ['am', 'ma', 'axm'];
  const [whole] = ends.filter((kind) => own.startsWith(kind)).sort((a, b) => b.length - a.length);
  const further = own.slice(whole?.length ?? own.length);
  const end = last[own.length - further.length - 1];
  if (!/^m+$/.test(further) || !end) return undefined;
  const isCertain = like?.ending !== undefined && end.ending !== undefined && end.ending.length > like.ending.length;
  // One addition may be the head's, or that of a last block which is unlike all others; nothing tells but that.
  return isCertain || (others.length > 0 && further.length === 1)
    ? { additions: further.length, isCertain }
    : undefined;
}
