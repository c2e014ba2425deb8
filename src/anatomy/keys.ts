/** Keys that are fewer than the tokens that they are made from: a pattern over them says nothing of single tokens. */
import { intAttribute, intsAttribute, type Node } from '../onnx/model.js';
import { between, type Flow } from './flow.js';
import { factors } from './ops.js';
import { endings } from './products.js';
import { projections } from './projections.js';

/**
 * How `keys` are made from several tokens each, in words; undefined where nothing shows that they are.
 *
 * @param nodes those of the branch that attends
 */
export function mixedKeys(flow: Flow, keys: string, nodes: ReadonlySet<Node>): string | undefined {
  const [last] = projections(flow, keys).products;
  if (!last) return undefined;
  const { rows = 0, columns = 0 } = last;
  const [before] = projections(flow, last.activation).products;
  // As many as the features that were made before may be these in another layout.
  if (
    before &&
    nodes.has(before.node) &&
    columns < rows &&
    rows !== before.columns &&
    sumsOverOthers(flow, last.node, before.node)
  )
    return `a product along the sequence makes ${columns} keys of ${rows} tokens (as in Linformer), so that its columns are no tokens`;
  const { obstacles } = endings(flow, last.activation, { nodes });
  const strided = obstacles.find(({ node }) => intsAttribute(node, 'strides')?.some((stride) => stride > 1));
  return strided && 'a convolution with strides makes one key of several tokens, so that its columns are no tokens';
}

/** Whether a product sums over another axis of its activation than the one that the columns of `before` lie along. */
function sumsOverOthers(flow: Flow, product: Node, before: Node): boolean {
  if ([product, before].some(({ op }) => op.includes('Conv'))) return false;
  const made = before.outputs[0] ?? '';
  let { value, axis } = summed(flow, product);
  while (value !== made) {
    const node = flow.producer(value);
    const next = node && flow.reads(node).find((input) => input === made || between(flow, made, input));
    if (!node || next === undefined) return false;
    const perm = node.op === 'Transpose' ? (intsAttribute(node, 'perm') ?? []) : [];
    // Heads are split off the last axis, which goes on as the last.
    if (node.op === 'Reshape' && axis !== -1) return true;
    if (perm.length > 0) axis = (perm.at(axis) ?? 0) - perm.length;
    value = next;
  }
  return axis !== (summed(flow, before).isLeft ? -1 : -2);
}

/** The activation of a product with a weight, and the axis of it, from the end, that is summed over. */
function summed(flow: Flow, node: Node): { value: string; axis: number; isLeft: boolean } {
  const [left, right] = factors(node) ?? ['', ''];
  const isLeft = !flow.isConstant(left);
  const isTurned = intAttribute(node, isLeft ? 'transA' : 'transB', 0) === 1;
  return { value: isLeft ? left : right, axis: isLeft === isTurned ? -2 : -1, isLeft };
}
