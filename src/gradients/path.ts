/** The part of a graph that adjoints flow through: between what a derivative is taken of and what it is taken by. */
import { indexGraph } from '../onnx/graph.js';
import { DataType, type Graph, intAttribute, type Node } from '../onnx/model.js';
import type { Rule } from './rule.js';
import { isRule, isStop, obstacleAt, ruleFor } from './table.js';

/** A node on the way, and its rule. */
export interface PathStep {
  readonly node: Node;
  readonly rule: Rule;
}

export interface Path {
  /** In the order of the graph. */
  readonly steps: readonly PathStep[];
  /** Values that depend on what the derivative is taken by. */
  readonly active: ReadonlySet<string>;
  /** Values whose shapes a backward pass has to know, and those whose elements. */
  readonly shapes: readonly string[];
  readonly contents: readonly string[];
  /** What costly operators make of one value and constants: products with a weight. */
  readonly products: readonly string[];
  /** What is to be said of a result. */
  readonly remarks: readonly string[];
  /** Why it can't be gone, as a clause: an operator without a rule is on it. */
  readonly obstacle: string | undefined;
}

/** What a derivative is of and by. */
export interface Ends {
  /** Values that are taken as given. */
  readonly given: Iterable<string>;
  /** Values whose adjoints are known. */
  readonly of: Iterable<string>;
  /** Values whose adjoints are wanted. */
  readonly by: Iterable<string>;
}

const integers = new Set<DataType>([DataType.int32, DataType.int64, DataType.bool, DataType.int8, DataType.uint8]);

/** Pure; nothing is computed. */
export function pathOf(graph: Graph, { given, of, by }: Ends): Path {
  const index = indexGraph(graph);
  const ends = new Set(given);
  const wanted = new Set(by);
  // Back from what the derivative is of, by what an adjoint may flow through.
  const reached = new Set<string>();
  const nodes = new Set<Node>();
  const open = [...of];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (reached.has(value) || value === '') continue;
    reached.add(value);
    const node = ends.has(value) ? undefined : index.producer(value);
    if (!node || isConstantCast(node)) continue;
    const rule = ruleFor(node);
    if (isStop(rule)) continue;
    nodes.add(node);
    for (const input of flowing(node, isRule(rule) ? rule : undefined)) open.push(input);
  }
  // On from what it is taken by.
  const active = new Set([...wanted].filter((value) => reached.has(value)));
  const steps: PathStep[] = [];
  const products: string[] = [];
  let obstacle: string | undefined;
  for (const node of graph.nodes) {
    if (!nodes.has(node)) continue;
    const rule = ruleFor(node);
    const known = isRule(rule) ? rule : undefined;
    const from = flowing(node, known).filter((input) => active.has(input));
    if (from.length === 0) continue;
    if (known) steps.push({ node, rule: known });
    if (known?.costly && from.length === 1) products.push(node.outputs[0] ?? '');
    if (!known) obstacle ??= obstacleAt(node);
    for (const [i, output] of node.outputs.entries())
      if (output !== '' && (known?.outputs?.includes(i) ?? true)) active.add(output);
  }
  const shapes = new Set<string>();
  const contents = new Set<string>();
  const isValue = (name: string | undefined): name is string =>
    name !== undefined && name !== '' && !graph.initializers.has(name);
  for (const { node, rule } of steps) {
    for (const name of [...node.inputs, ...node.outputs]) if (isValue(name)) shapes.add(name);
    for (const at of rule.reads ?? []) {
      const name = node.inputs[at];
      if (isValue(name)) contents.add(name);
    }
  }
  const remarks = new Set(steps.flatMap(({ rule }) => rule.remark ?? []));
  return { steps, active, shapes: [...shapes], contents: [...contents], products, remarks: [...remarks], obstacle };
}

/** The inputs that an adjoint may flow to. */
function flowing(node: Node, rule: Rule | undefined): string[] {
  const { inputs } = node;
  const names = rule?.flows ? rule.flows.map((at) => inputs[at] ?? '') : inputs;
  return names.filter((name) => name !== '');
}

/** Gives integers, which nothing flows back from. */
const isConstantCast = (node: Node): boolean =>
  node.domain === '' && node.op === 'Cast' && integers.has(intAttribute(node, 'to', 0));
