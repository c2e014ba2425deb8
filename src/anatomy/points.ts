/** Where the points of a residual stream lie: between what one block adds last and another adds first. */
import type { Node } from '../onnx/model.js';
import { elementCount } from '../onnx/tensor.js';
import type { Addition } from './addition.js';
import type { Changes } from './copies.js';
import { type Flow, stripped } from './flow.js';
import { isPassThrough, isSum } from './ops.js';

/** What is known of a walk over the graph. */
interface Ways {
  /** The pointwise step before: the input a value carries on. */
  readonly from: ReadonlyMap<string, string>;
  /** What blocks took out and gave back. */
  readonly changes: Changes;
}

/**
 * The residual point that an addition reads: the sum before it that `skip` repeats in another shape or precision, what
 * there was before something else of the stream was added (as in a U-net) and before it was scaled for that (as in
 * λ·h + μ·h_0), else `skip` itself.
 */
export function pointBefore(flow: Flow, walk: Ways, { skip, previous }: Addition): string {
  if (!previous) return unmixed(flow, skip);
  const own = walk.changes.returns.get(previous)?.own;
  if (own !== undefined) return own;
  const sums = [previous.sum, withBias(flow, previous, previous.sum)];
  let point = skip;
  for (
    let value: string | undefined = skip;
    value !== undefined && !sums.includes(value);
    value = walk.from.get(value)
  ) {
    const node = flow.producer(value);
    if (!node || !isSum(node)) continue;
    if (flow.reads(node).length > 1 || isOwn(flow, previous, node))
      point = unscaled(flow, walk.from.get(value) ?? point);
  }
  for (let value: string | undefined = point; value !== undefined; ) {
    if (sums.includes(value)) return value;
    const node = flow.producer(value);
    value = node && isPassThrough(node) && node.op !== 'DequantizeLinear' ? node.inputs[0] : undefined;
  }
  return point;
}

/** What a block adds to the point that it reads before its first branch reads it: the further terms of sums between. */
export function addedBefore(flow: Flow, walk: Ways, point: string, { skip, previous }: Addition): readonly string[] {
  const added: string[] = [];
  if (!previous) return added;
  for (let value: string | undefined = skip; value !== undefined && value !== point && value !== previous.sum; ) {
    const node = flow.producer(value);
    const before = walk.from.get(value);
    if (node && isSum(node)) for (const term of flow.reads(node)) if (term !== before) added.push(term);
    value = before;
  }
  return added;
}

/** h_0 where the first block begins with λ·h_0 + μ·h_0. */
export function unmixed(flow: Flow, value: string): string {
  const terms = summedIn(flow, value);
  const [first, ...others] = terms.map((term) => unscaled(flow, term));
  const isMix = first !== undefined && !terms.includes(first) && others.every((term) => term === first);
  return isMix && others.length > 0 ? first : value;
}

/** The terms of a sum of sums; of what is no sum none. */
function summedIn(flow: Flow, value: string): readonly string[] {
  const node = flow.producer(value);
  if (!node || !isSum(node)) return [];
  return flow.reads(node).flatMap((term) => {
    const inner = summedIn(flow, term);
    return inner.length > 1 ? inner : [term];
  });
}

/** Whether `node` adds to `skip` as it is, in one sum or several: neither scaled nor gated. */
export function addsTo(flow: Flow, node: Node | undefined, skip: string): boolean {
  if (!node || !isSum(node)) return false;
  return flow.reads(node).some((term) => {
    const value = stripped(flow, term);
    return (
      value === stripped(flow, skip) ||
      (flow.depth(value) > flow.depth(skip) && addsTo(flow, flow.producer(value), skip))
    );
  });
}

/** `value` before it was multiplied by constants, in whatever precision. */
export function unscaled(flow: Flow, value: string): string {
  const node = flow.producer(value);
  const [only, ...others] = node ? flow.reads(node) : [];
  const isScaled = node?.op === 'Mul' || ((node?.op === 'Div' || node?.op === 'Cast') && node.inputs[0] === only);
  return isScaled && only !== undefined && others.length === 0 ? unscaled(flow, only) : value;
}

/** The operators that carry `sum` to `point`. */
export function operatorsTo(flow: Flow, walk: Ways, point: string, sum: string): string[] | undefined {
  const operators: string[] = [];
  for (let value: string | undefined = point; value !== undefined; value = walk.from.get(value)) {
    if (value === sum) return operators.reverse();
    operators.push(flow.producer(value)?.op ?? '');
  }
  return undefined;
}

/** What `operators` make of `from`, one after another. */
export function through(flow: Flow, from: string, operators: readonly string[]): string | undefined {
  let value = from;
  for (const op of operators) {
    // A square is on its way to a norm's variance.
    const goesOn = ({ inputs }: Node) => inputs[0] !== inputs[1];
    const next = flow
      .consumers(value)
      .find((node) => node.op === op && goesOn(node) && flow.reads(node).includes(value));
    if (!next) return undefined;
    [value = ''] = next.outputs;
  }
  return value;
}

/** A sum whose only use is to have its branch's bias added goes on in that sum. */
export function withBias(flow: Flow, addition: Addition, sum: string): string {
  const [node, ...others] = flow.consumers(sum);
  if (!node || others.length > 0 || !isSum(node) || flow.reads(node).length !== 1) return sum;
  if (!mayBeBias(flow, addition, node)) return sum;
  const [biased = ''] = node.outputs;
  return withBias(flow, addition, biased);
}

/** Whether the constant that `node` adds is one vector for all tokens, and the branches of `addition` have no bias yet. */
const mayBeBias = (flow: Flow, { branches }: Addition, node: Node): boolean =>
  rowsAdded(flow, node) === 1 && !branches.some(({ output }) => endsInBias(flow, output));

/** How many vectors the constant has that `node` adds; one where that is not known. */
function rowsAdded(flow: Flow, node: Node): number {
  const dims = addedDims(flow, node);
  return dims && dims.length > 1 ? elementCount(dims.slice(0, -1)) : 1;
}

const addedDims = (flow: Flow, { inputs }: Node): readonly number[] | undefined =>
  flow.model.graph.initializers.get(inputs.find(flow.isConstant) ?? '')?.dims;

/** Whether a bias was the last that was added to `value`, however it was scaled then. */
function endsInBias(flow: Flow, value: string): boolean {
  const node = flow.producer(stripped(flow, value));
  if (!node) return false;
  const reads = flow.reads(node);
  const [only = ''] = reads;
  if (isSum(node)) return node.inputs.some(flow.isConstant) || reads.some((term) => endsInBias(flow, term));
  if (node.op === 'Mul') return reads.length === 1 && endsInBias(flow, only);
  return node.inputs.length > 2 && ['LayerNormalization', 'Gemm', 'Conv'].includes(node.op);
}

/**
 * Whether `node` adds a constant that is the next block's own (an embedding of its depth or of a time step): to a sum
 * to which it is no bias, or to a norm that has its own.
 */
function isOwn(flow: Flow, previous: Addition, node: Node): boolean {
  const [term = ''] = flow.reads(node);
  const before = stripped(flow, term);
  if (before === stripped(flow, previous.sum)) return !mayBeBias(flow, previous, node);
  if (before === stripped(flow, withBias(flow, previous, previous.sum))) return true;
  const made = flow.producer(before);
  if (made?.op === 'LayerNormalization') return made.inputs.length > 2;
  return made !== undefined && isSum(made) && flow.reads(made).length === 1;
}

/** Where the first block begins if the others first add a constant of their own: before a constant of the same shape. */
export function withoutOwn(
  flow: Flow,
  [first, ...rest]: readonly { readonly skip: string; readonly from: string }[],
): string {
  const shapes = rest.flatMap(({ skip, from }) => {
    const own = constantAdded(flow, skip);
    return own?.before === from ? [own.shape] : [];
  });
  const own = first && first.skip === first.from ? constantAdded(flow, first.skip) : undefined;
  return own && shapes.includes(own.shape) ? own.before : (first?.from ?? '');
}

/** What `value` was before a constant was added to it, and the constant's shape. */
function constantAdded(flow: Flow, value: string): { readonly before: string; readonly shape: string } | undefined {
  const node = flow.producer(stripped(flow, value));
  const [before = '', ...others] = node && isSum(node) ? flow.reads(node) : [];
  const dims = before !== '' && node && others.length === 0 ? addedDims(flow, node) : undefined;
  return dims && { before, shape: dims.join() };
}
