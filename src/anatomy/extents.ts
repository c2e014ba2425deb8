/**
 * Extents that a graph states without saying so: exporters compute the target of a Reshape from pieces, some of which
 * are constant. Evaluates small integer vectors with holes for what only a run can tell.
 */
import type { Node } from '../onnx/model.js';
import { intAttribute, intsAttribute } from '../onnx/model.js';
import { constantNumbers } from '../onnx/tensor.js';
import type { Flow } from './flow.js';

/** A one-dimensional integer value, undefined where an element is not known before the run. */
export type PartialVector = readonly (number | undefined)[];

const maxElements = 16;
const maxDepth = 24;

/** What is known of an integer vector or scalar; undefined where nothing is. */
export function partialVector(flow: Flow, value: string, depth = 0): PartialVector | undefined {
  const tensor = flow.model.graph.initializers.get(value);
  if (tensor) {
    const count = tensor.dims.reduce((product, extent) => product * extent, 1);
    return count <= maxElements ? constantNumbers(tensor) : undefined;
  }
  const node = flow.producer(value);
  if (!node || depth > maxDepth) return undefined;
  const input = (index: number) => partialVector(flow, node.inputs[index] ?? '', depth + 1);
  switch (node.op) {
    case 'Cast':
    case 'Identity':
    case 'Unsqueeze':
    case 'Squeeze':
    case 'Reshape':
      return input(0);
    case 'Concat': {
      const parts = node.inputs.map((_, index) => input(index) ?? [undefined]);
      return parts.flat();
    }
    case 'Gather':
      return pick(input(0), input(1));
    case 'Slice': {
      const [starts, ends] = [input(1) ?? intsAttribute(node, 'starts'), input(2) ?? intsAttribute(node, 'ends')];
      return slice(input(0) ?? unknownShape(flow, node), starts, ends);
    }
    case 'Shape':
      return declaredShape(flow, node);
    case 'Add':
      return combine(input(0), input(1), (a, b) => a + b);
    case 'Sub':
      return combine(input(0), input(1), (a, b) => a - b);
    case 'Mul':
      return combine(input(0), input(1), (a, b) => a * b);
    case 'Div':
      return combine(input(0), input(1), (a, b) => (b === 0 ? undefined : Math.trunc(a / b)));
    case 'Mod':
      return combine(input(0), input(1), (a, b) => (a < 0 || b <= 0 ? undefined : a % b));
    default:
      return undefined;
  }
}

/** The declared extents of `value`, with the numbers that the file gives. */
export function declaredExtents(flow: Flow, value: string): PartialVector | undefined {
  const { valueInfo, inputs, outputs } = flow.model.graph;
  const info = valueInfo.get(value) ?? [...inputs, ...outputs].find(({ name }) => name === value);
  return info?.shape?.map((extent) => (typeof extent === 'number' ? extent : undefined));
}

function declaredShape(flow: Flow, node: Node): PartialVector | undefined {
  const extents = declaredExtents(flow, node.inputs[0] ?? '');
  const end = intAttribute(node, 'end', Number.MAX_SAFE_INTEGER);
  return extents?.slice(intAttribute(node, 'start', 0), end);
}

/**
 * The shape that a Slice takes a part of, where torch's `unflatten` counts the axis modulo the rank: extents that are
 * not known, but how many there are.
 */
function unknownShape(flow: Flow, { inputs }: Node): PartialVector | undefined {
  if (flow.producer(inputs[0] ?? '')?.op !== 'Shape') return undefined;
  for (const bound of inputs.slice(1, 3)) {
    let node = flow.producer(bound);
    while (node && (node.op === 'Reshape' || node.op === 'Add')) node = flow.producer(node.inputs[0] ?? '');
    const [rank] = (node?.op === 'Mod' && partialVector(flow, node.inputs[1] ?? '')) || [];
    if (rank !== undefined && rank > 0 && rank <= maxElements) return Array.from({ length: rank }, () => undefined);
  }
  return undefined;
}

function pick(data: PartialVector | undefined, indices: PartialVector | undefined): PartialVector | undefined {
  return indices?.map((index) => (index === undefined ? undefined : data?.at(index)));
}

function slice(data?: PartialVector, starts?: PartialVector, ends?: PartialVector): PartialVector | undefined {
  const [start, end] = [starts?.[0], ends?.[0]];
  return start === undefined || end === undefined ? undefined : data?.slice(start, end);
}

function combine(
  left: PartialVector | undefined,
  right: PartialVector | undefined,
  apply: (a: number, b: number) => number | undefined,
): PartialVector | undefined {
  if (!left || !right) return undefined;
  const [longer, shorter] = left.length >= right.length ? [left, right] : [right, left];
  if (shorter.length !== 1 && shorter.length !== longer.length) return undefined;
  return longer.map((_, index) => {
    const a = left.length === 1 ? left[0] : left[index];
    const b = right.length === 1 ? right[0] : right[index];
    return a === undefined || b === undefined ? undefined : apply(a, b);
  });
}
