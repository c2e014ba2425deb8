/**
 * Questions about the flow of data through a prepared graph that everything else here is made of. All answers are
 * independent of names and of the order in which the file lists its nodes.
 */
import type { GraphIndex } from '../onnx/graph.js';
import { indexGraph } from '../onnx/graph.js';
import type { Model, Node } from '../onnx/model.js';
import { isPassThrough, isShapeOnly } from './ops.js';

export interface Flow {
  readonly model: Model;
  readonly producer: GraphIndex['producer'];
  readonly consumers: GraphIndex['consumers'];
  /** The non-constant values whose elements (not only whose shape) a node reads. */
  readonly reads: (node: Node) => readonly string[];
  /** True for initializers and everything computed from them alone. */
  readonly isConstant: (value: string) => boolean;
  /** Longest way from a graph input or constant, in nodes; an ancestor is always less deep. */
  readonly depth: (value: string) => number;
}

/** Indexes a graph for flow questions; linear in its nodes. */
export function flowOf(model: Model): Flow {
  const { producer, consumers, inputsOf } = indexGraph(model.graph);
  const depths = new Map<string, number>();
  const constants = new Set<string>(model.graph.initializers.keys());
  for (const node of model.graph.nodes) {
    const inputs = inputsOf(node);
    const depth = 1 + inputs.reduce((deepest, value) => Math.max(deepest, depths.get(value) ?? 0), 0);
    const constant = inputs.every((value) => constants.has(value)) && !node.op.startsWith('Random');
    for (const output of node.outputs) {
      if (output === '') continue;
      depths.set(output, depth);
      if (constant) constants.add(output);
    }
  }
  const read = new Map<Node, readonly string[]>();
  return {
    model,
    producer,
    consumers,
    reads: (node) => {
      let values = read.get(node);
      if (!values) {
        // What `ConstantOfShape` fills is one number everywhere.
        const isNone = isShapeOnly(node) || node.op === 'ConstantOfShape';
        values = isNone ? [] : inputsOf(node).filter((value) => !constants.has(value));
        if (node.op === 'Reshape' || node.op === 'Expand' || node.op === 'Unsqueeze' || node.op === 'Squeeze')
          values = values.filter((value) => value === node.inputs[0]);
        read.set(node, values);
      }
      return values;
    },
    isConstant: (value) => constants.has(value),
    depth: (value) => depths.get(value) ?? 0,
  };
}

/** Work that may still be done, in values that are looked at. */
export interface Allowance {
  left: number;
}

/**
 * The nodes on the ways from `from` to `to`, or undefined when there is none. Only values deeper than `from` are
 * walked, so the cost is that of the part between the two.
 *
 * @param allowance is drawn on, and what it has no room for is taken to be no way
 */
export function between(flow: Flow, from: string, to: string, allowance?: Allowance): ReadonlySet<Node> | undefined {
  const floor = flow.depth(from);
  if (flow.depth(to) <= floor) return undefined;
  const leads = new Map<string, boolean>([[from, true]]);
  const found = new Set<Node>();
  // Post-order with an explicit stack: a value is settled once all that its producer reads is settled.
  const stack: string[] = [to];
  for (let value = stack.at(-1); value !== undefined; value = stack.at(-1)) {
    if (allowance && --allowance.left < 0) return undefined;
    const node = flow.producer(value);
    if (leads.has(value) || !node || flow.depth(value) <= floor) {
      if (!leads.has(value)) leads.set(value, false);
      stack.pop();
      continue;
    }
    const inputs = flow.reads(node);
    const open = inputs.filter((input) => !leads.has(input));
    if (open.length > 0) {
      for (const one of open) stack.push(one);
      continue;
    }
    const reached = inputs.some((input) => leads.get(input));
    leads.set(value, reached);
    if (reached) found.add(node);
    stack.pop();
  }
  return leads.get(to) ? found : undefined;
}

/** All values computed from `value`. */
export function downstream(flow: Flow, value: string): ReadonlySet<string> {
  const reached = new Set([value]);
  for (const node of flow.model.graph.nodes)
    if (flow.reads(node).some((input) => reached.has(input))) for (const output of node.outputs) reached.add(output);
  return reached;
}

/** The graph inputs that a value is computed from, as far as `most` values above it are looked at. */
export function inputsAbove(flow: Flow, value: string, most = Number.POSITIVE_INFINITY): ReadonlySet<string> {
  const inputs = new Set(flow.model.graph.inputs.map(({ name }) => name));
  const found = new Set<string>();
  const seen = new Set([value]);
  const open = [value];
  for (let next = open.pop(); next !== undefined && seen.size < most; next = open.pop()) {
    if (inputs.has(next)) found.add(next);
    const node = flow.producer(next);
    for (const input of node ? flow.reads(node) : [])
      if (!seen.has(input)) {
        seen.add(input);
        open.push(input);
      }
  }
  return found;
}

/** `value` with reshapes, casts and quantise/dequantise pairs before it taken off. */
export function stripped(flow: Flow, value: string): string {
  let current = value;
  for (;;) {
    const node = flow.producer(current);
    const input = node && isPassThrough(node) ? node.inputs[0] : undefined;
    if (!input || flow.isConstant(input)) return current;
    current = input;
  }
}
