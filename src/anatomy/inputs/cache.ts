/** Key and value caches among the inputs. */
import { intAttribute, intsAttribute, type Node, type ValueInfo } from '../../onnx/model.js';
import { attentionOperator, isFusedAttention, roleOf } from '../operators/table.js';
import type { InputContext, Recognised, Uses } from './reader.js';

export interface Cache {
  /** The axis that counts tokens, where it grows. */
  readonly axis: number | undefined;
  /** Tokens that a cache of fixed length has room for, filled or not. */
  readonly room?: number;
}

/** The axis of a key or value cache that grows by the tokens that are run, if the uses are those of a cache. */
export function cacheAxis({ touches, through }: Uses, { name, shape }: ValueInfo): Cache | undefined {
  const rank = shape?.length;
  if (rank === undefined || rank < 3) return undefined;
  for (const { node, index, value } of touches) {
    if (node.op === 'Concat') {
      const axis = intAttribute(node, 'axis', 0);
      const turned = turnedAxis(through, name, value, axis < 0 ? axis + rank : axis);
      if (turned !== undefined) return { axis: turned };
      // Counted from the end, for caches that are unpacked on the way ([2, batch, heads, past, head_dim]).
      const fromEnd = axis < 0 ? axis : axis - (through.length > 0 ? 4 : rank);
      return { axis: rank + fromEnd };
    }
    const role = roleOf(node, index);
    if (role === 'past') return { axis: 3 };
    if (role === 'past-key' || role === 'past-value') {
      // Of a buffer the operator takes what other inputs say is filled.
      const isBuffer = attentionOperator(node)?.inputs.includes('last-key') === true;
      const declared = isBuffer && through.length === 0 && typeof shape?.[2] === 'number' ? shape[2] : undefined;
      return { axis: 2, room: declared || attentionOperator(node)?.room?.(node) };
    }
    if (['ScatterElements', 'ScatterND', 'TensorScatter'].includes(node.op) && index === 0) return { axis: undefined };
  }
  const split = through.filter((node) => node.op === 'Concat').length;
  return split > 0 && touches.length > 0 && touches.every(({ node }) => isFusedAttention(node))
    ? { axis: 2 }
    : undefined;
}

/** The axis of an input that is axis `axis` of `value`, which is the input transposed; undefined where it is not. */
function turnedAxis(through: readonly Node[], input: string, value: string, axis: number): number | undefined {
  let at: number | undefined = axis;
  for (let current = value; current !== input; ) {
    const node = through.find(({ outputs }) => outputs.includes(current));
    if (!node || at === undefined || (node.op !== 'Transpose' && node.op !== 'Cast')) return undefined;
    at = node.op === 'Cast' ? at : intsAttribute(node, 'perm')?.[at];
    [current = ''] = node.inputs;
  }
  return value === input ? undefined : at;
}

export function pastOf(info: ValueInfo, { axis, room }: Cache, { kvHeads, headDim }: InputContext): Recognised {
  if (axis === undefined) return { role: 'past', how: 'a cache of fixed length: zeros' };
  const rank = info.shape?.length ?? 4;
  // The batch comes first, or behind the tokens where these do.
  const extents: Record<number, number> = { [axis === rank - 4 ? rank - 3 : rank - 4]: 1 };
  if (rank === 5 && axis !== 0) extents[0] = 2;
  const headAxis = axis === rank - 2 ? rank - 3 : rank - 2;
  if (kvHeads !== undefined) extents[headAxis] = kvHeads;
  if (headDim !== undefined) extents[axis === rank - 1 ? rank - 2 : rank - 1] = headDim;
  for (const [place, extent] of (info.shape ?? []).entries())
    if (typeof extent === 'number' && place !== axis && extent > 0) extents[place] = extent;
  if (room)
    return { role: 'past', extents: { ...extents, [axis]: room }, how: `key/value cache of ${room} tokens: zeros` };
  const declared = info.shape?.[axis];
  if (typeof declared === 'number' && declared > 0) {
    const how = `key/value cache of ${declared} tokens: zeros, which are masked`;
    return { role: 'past', tokenAxis: axis, extents, how };
  }
  return { role: 'past', tokenAxis: axis, extents, how: 'key/value cache: empty' };
}
