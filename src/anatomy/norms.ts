/** The norms of a model: what each gives, and what it squares where it is spelled out. */
import { indexGraph } from '../onnx/graph.js';
import type { Model, Node } from '../onnx/model.js';
import type { Anatomy } from './anatomy.js';
import { partialVector } from './extents.js';
import { type Flow, flowOf } from './flow.js';
import { homesOf } from './homes.js';
import { isPassThrough } from './ops.js';

export interface Norm {
  /** 1-based; 0 is what comes before h_0, L + 1 what comes after h_L. */
  readonly block: number;
  /** What it gives; undefined where a norm that is spelled out has no end that is known. */
  readonly output: string | undefined;
  /**
   * The squares whose mean it takes, a value of the graph: of (x − mean), or in an RMS norm of x. Undefined where an
   * operator squares inside.
   */
  readonly squares: string | undefined;
}

/** Every norm on the main path, those of queries and keys among them, in the order of the graph. */
export function normsOf(model: Model, anatomy: Anatomy): readonly Norm[] {
  const flow = flowOf(model);
  const homes = homesOf(model.graph, indexGraph(model.graph), anatomy);
  return model.graph.nodes.flatMap((node): Norm[] => {
    const [made = ''] = node.outputs;
    const block = homes.get(made);
    if (block === undefined) return [];
    if (/^(Simplified)?LayerNormalization$|^RMSNormalization$/.test(node.op))
      return [{ block, output: made, squares: undefined }];
    const squared = squaredIn(flow, node);
    return squared === undefined ? [] : [{ block, output: normed(flow, made, squared), squares: made }];
  });
}

/** What a node squares, where a mean or a sum is taken of the squares. */
function squaredIn(flow: Flow, node: Node): string | undefined {
  const [base = '', other = ''] = node.inputs;
  const isSquare =
    (node.op === 'Mul' && base === other) || (node.op === 'Pow' && partialVector(flow, other)?.[0] === 2);
  if (!isSquare || flow.isConstant(base)) return undefined;
  const reduced = flow.consumers(node.outputs[0] ?? '').some(({ op }) => op === 'ReduceMean' || op === 'ReduceSum');
  return reduced ? base : undefined;
}

/** From squares to what is multiplied or divided by their mean's root, then on through gain and bias. */
function normed(flow: Flow, squares: string, squared: string): string | undefined {
  let value: string | undefined = squares;
  for (let step = 0; step < 10 && value !== undefined; step++) {
    const readers: readonly Node[] = flow.consumers(value);
    const scaled = readers.find(({ op, inputs }) => (op === 'Mul' || op === 'Div') && reads(flow, inputs, squared));
    if (scaled && value !== squares) return affine(flow, scaled.outputs[0] ?? '');
    value = readers[0]?.outputs[0];
  }
  return undefined;
}

const reads = (flow: Flow, inputs: readonly string[], value: string) =>
  inputs.some((input) => input === value || uncast(flow, input) === uncast(flow, value));

function uncast(flow: Flow, value: string): string {
  const node = flow.producer(value);
  return node && isPassThrough(node) && !flow.isConstant(value) ? uncast(flow, node.inputs[0] ?? '') : value;
}

function affine(flow: Flow, value: string): string {
  const readers = flow.consumers(value);
  const [reader] = readers;
  const isAffine =
    readers.length === 1 &&
    reader !== undefined &&
    (isPassThrough(reader) ||
      ((reader.op === 'Mul' || reader.op === 'Add') && reader.inputs.some((input) => flow.isConstant(input))));
  const [next = ''] = reader?.outputs ?? [];
  return isAffine && next !== '' ? affine(flow, next) : value;
}
