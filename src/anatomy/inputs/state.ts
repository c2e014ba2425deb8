/** States that a layer goes on from, in which no token has a place: of a recurrence, and what a convolution looks back at. */
import type { Node, ValueInfo } from '../../onnx/model.js';
import type { Flow } from '../flow.js';
import { isPassThrough } from '../ops.js';
import { weightProduct } from '../products.js';
import type { Uses } from './reader.js';

/**
 * Whether an input of floats is a state: of declared extents but for the batch, and given again, with what the tokens add
 * to it, as an output of the same extents.
 *
 * @param isCache whether keys or values may be what it is: it is a state where a convolution reads what it is joined to
 */
export function isState(flow: Flow, info: ValueInfo, { touches }: Uses, isCache: boolean): boolean {
  const { name, shape = [] } = info;
  const isDeclared = shape.slice(1).every((extent) => typeof extent === 'number' && extent > 0);
  if (shape.length < 2 || touches.length === 0 || !isDeclared) return false;
  if (!touches.every(({ node }) => (node.op === 'Concat' ? isConvolved(flow, node) : !isCache))) return false;
  // No further than into the block's own products; what goes into a softmax comes out as weights.
  const passes = (node: Node) => node.op !== 'Softmax' && weightProduct(flow, node) === undefined;
  const reached = reachedFrom(flow, [name], passes);
  return flow.model.graph.outputs.some((output) => isNext(output, info) && reached.has(output.name));
}

/** Whether an output may be what a state becomes: of its type and its extents, as far as these are declared. */
export function isNext(output: ValueInfo, { type, shape = [] }: Pick<ValueInfo, 'type' | 'shape'>): boolean {
  const { shape: own = [] } = output;
  const fits = (extent: number | string | null, axis: number) => typeof own[axis] !== 'number' || own[axis] === extent;
  return (
    output.type === type &&
    own.length === shape.length &&
    shape.every((extent, axis) => axis === 0 || fits(extent, axis))
  );
}

/** Whether a convolution reads it, also where it is written as a product with weights and a sum. */
function isConvolved(flow: Flow, { outputs }: Node): boolean {
  const isWeighted = (node: Node) => node.op === 'Mul' && node.inputs.some((input) => flow.isConstant(input));
  const passes = (node: Node) => isPassThrough(node) || node.op === 'Transpose' || isWeighted(node);
  const reached = reachedFrom(flow, outputs, passes);
  const convolves = ({ op, inputs }: Node) => (op === 'Conv' || op === 'ReduceSum') && reached.has(inputs[0] ?? '');
  return [...reached].some((value) => flow.consumers(value).some(convolves));
}

function reachedFrom(flow: Flow, values: readonly string[], passes: (node: Node) => boolean): ReadonlySet<string> {
  const reached = new Set(values);
  const open = [...values];
  for (let value = open.pop(); value !== undefined; value = open.pop())
    for (const node of flow.consumers(value))
      for (const output of passes(node) && flow.reads(node).includes(value) ? node.outputs : [])
        if (output !== '' && !reached.has(output)) {
          reached.add(output);
          open.push(output);
        }
  return reached;
}
