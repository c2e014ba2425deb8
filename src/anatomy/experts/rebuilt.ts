/**
 * Routings as values of the graph. Where an operator of ONNX Runtime chooses the experts inside, the choice is computed
 * again beside it as ordinary nodes from the operator's own inputs.
 *
 * What the operators do was measured with ONNX Runtime 1.31 on a CPU: `MoE` takes the softmax over all experts and
 * divides the chosen by their sum where `normalize_routing_weights` is set; `QMoE` divides them in any case, but where
 * `router_weights` are given these are the weights, divided by their sum where the attribute is set. Of equal scores the
 * later expert is taken.
 */
import { intAttribute, type Model, type Node } from '../../onnx/model.js';
import type { Anatomy, RoutingValues } from '../anatomy.js';
import { Builder } from '../operators/builder.js';

export interface Routed {
  /** With the nodes that rebuild routings after its own. */
  readonly model: Model;
  /** By block (1-based). */
  readonly routings: ReadonlyMap<number, RoutingValues>;
}

/** Rebuilds the routings that operators hide; `anatomy` is the model's own. */
export function withRoutings(model: Model, anatomy: Anatomy): Routed {
  const routings = new Map<number, RoutingValues>();
  const nodes: Node[] = [];
  for (const [index, { routing }] of anatomy.blocks.entries()) {
    if (!routing) continue;
    if (!('operator' in routing.from)) routings.set(index + 1, routing.from);
    else if (routing.experts !== undefined) {
      const made = rebuilt(routing.from.operator, routing.experts, `sinkscope/routing/${index}/`);
      for (const node of made.nodes) nodes.push(node);
      routings.set(index + 1, made.values);
    }
  }
  if (nodes.length === 0) return { model, routings };
  return { model: { ...model, graph: { ...model.graph, nodes: [...model.graph.nodes, ...nodes] } }, routings };
}

/** The input of `QMoE` whose numbers are the weights, in place of the softmax of what is chosen by. */
const weightsInput = 14;

function rebuilt(node: Node, experts: number, prefix: string): { nodes: readonly Node[]; values: RoutingValues } {
  const build = new Builder(prefix);
  const logits = build.float32(node.inputs[1] ?? '');
  const scores = build.node('Softmax', [logits], { axis: 1 });
  // TopK takes the earlier of equal scores, the operators take the later: it is given them from the last to the first.
  const backwards = build.ints(Array.from({ length: experts }, (_, place) => experts - 1 - place));
  const [largest, place] = [`${prefix}largest`, `${prefix}place`];
  const top: Node = {
    name: largest,
    op: 'TopK',
    domain: '',
    inputs: [build.node('Gather', [scores, backwards], { axis: 1 }), build.ints([intAttribute(node, 'k', 1)])],
    outputs: [largest, place],
    attributes: new Map(),
  };
  const before = [...build.nodes, top];
  const after = new Builder(`${prefix}chosen/`);
  const indices = after.node('Sub', [after.ints([experts - 1]), place]);
  const given = node.inputs[weightsInput] ?? '';
  const own = given === '' ? largest : after.node('GatherElements', [after.float32(given), indices], { axis: 1 });
  const isDivided = intAttribute(node, 'normalize_routing_weights', 0) !== 0 || (node.op === 'QMoE' && given === '');
  const weights = isDivided ? after.node('Div', [own, sumOf(after, own)]) : own;
  return {
    nodes: [...before, ...after.nodes],
    values: { indices, axis: -1, weights, ofAll: false, turned: false, scores: { value: scores, kind: 'softmax' } },
  };
}

/** Sum over the chosen, [T, 1], in a form that is the same in every opset: a product with ones. */
function sumOf(build: Builder, value: string): string {
  const k = build.node('Gather', [build.node('Shape', [value]), build.ints([1])]);
  const extents = build.node('Concat', [k, build.ints([1])], { axis: 0 });
  return build.node('MatMul', [value, build.node('Expand', [build.float(1), extents])]);
}
