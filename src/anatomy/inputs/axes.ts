/** Which axis of an input counts tokens. */
import { intAttribute, type ValueInfo } from '../../onnx/model.js';
import { partialVector } from '../extents.js';
import type { Flow } from '../flow.js';
import { isPassThrough, lookup } from '../ops.js';

type Extent = number | string | null | undefined;

/** Declared extents of the token ids: along their tokens, and along the batch. */
export interface IdAxes {
  readonly axis: number;
  readonly tokens: Extent;
  readonly batch: Extent;
  /** Whether names alone told. */
  readonly named: boolean;
}

/**
 * The axes of token ids: [batch, T], or [T, batch] where only that extent of theirs makes positions, the other is one, or
 * it alone is called a batch.
 */
export function idAxes(flow: Flow, { name, shape = [null, null] }: ValueInfo): IdAxes {
  const last = shape.length - 1;
  const axes = (axis: number, named = false): IdAxes => ({
    axis,
    tokens: shape[axis],
    batch: shape.length < 2 ? undefined : shape[axis === 0 ? last : 0],
    named,
  });
  if (shape.length !== 2) return axes(Math.max(0, last));
  const [first, second] = shape;
  if (second === 1 && first !== 1) return axes(0);
  const counted = countedAxes(flow, name);
  if (counted.has(0) !== counted.has(1)) return axes(counted.has(0) ? 0 : 1);
  const isBatch = (extent: Extent) => typeof extent === 'string' && /batch|^bs?z?$|^n$/i.test(extent);
  return isBatch(second) && !isBatch(first) ? axes(0, true) : axes(1);
}

/** Axes whose extent is where a table of positions is cut. */
function countedAxes(flow: Flow, input: string): ReadonlySet<number> {
  const found = new Set<number>();
  const seen = new Set<string>();
  /** @param axis of the input that the value is the extent of; undefined: all, as a vector */
  const follow = (value: string, axis: number | undefined): void => {
    if (seen.has(`${value} ${axis}`)) return;
    seen.add(`${value} ${axis}`);
    for (const node of flow.consumers(value)) {
      const [output = ''] = node.outputs;
      switch (node.op) {
        case 'Shape':
          if (node.inputs[0] === input) {
            const [start, end] = [intAttribute(node, 'start', 0), intAttribute(node, 'end', 2)];
            follow(output, end - start === 1 ? (start + 2) % 2 : undefined);
          }
          break;
        case 'Gather': {
          const index = node.inputs[0] === value ? partialVector(flow, node.inputs[1] ?? '')?.[0] : undefined;
          if (index !== undefined) follow(output, axis ?? (index + 2) % 2);
          break;
        }
        case 'Slice':
          if (axis !== undefined && node.inputs[0] !== value && flow.isConstant(node.inputs[0] ?? '')) found.add(axis);
          else if (axis === undefined && node.inputs[0] === value) {
            const start = partialVector(flow, node.inputs[1] ?? '')?.[0];
            if (start !== undefined) follow(output, (start + 2) % 2);
          }
          break;
        case 'Range':
          // A batch is counted as well, but is looked up in no table.
          if (axis !== undefined && isLookedUp(flow, output)) found.add(axis);
          break;
        case 'Unsqueeze':
        case 'Squeeze':
        case 'Cast':
        case 'Identity':
        case 'Add':
        case 'Sub':
          follow(output, axis);
      }
    }
  };
  follow(input, undefined);
  return found;
}

/** Whether numbers are indices of a table, in some shape. */
function isLookedUp(flow: Flow, numbers: string): boolean {
  return flow.consumers(numbers).some((node) => {
    const table = lookup(node);
    if (table) return table.indices === numbers && flow.isConstant(table.table);
    return (isPassThrough(node) || node.op === 'Add') && isLookedUp(flow, node.outputs[0] ?? '');
  });
}

/** The axis of an input that counts tokens: the one that is as long as that of the token ids, else the last. */
export function tokenAxisOf({ shape }: ValueInfo, ids: IdAxes | undefined): number | undefined {
  if (!shape) return undefined;
  const { tokens } = ids ?? {};
  const named = tokens === undefined || tokens === null ? -1 : shape.lastIndexOf(tokens);
  return named >= 0 ? named : Math.max(0, shape.length - 1);
}
