/**
 * Which experts of a mixture each token is sent to, and with what weights: followed from the router's product through
 * the choice to where its numbers multiply what the experts give. What cannot be followed is said.
 */
import { intAttribute, type Node } from '../../onnx/model.js';
import { constantNumbers } from '../../onnx/tensor.js';
import type { Branch } from '../addition.js';
import type { Routing } from '../anatomy.js';
import { type Flow, stripped } from '../flow.js';
import { operatorName } from '../ops.js';
import { branchProduct, endings } from '../products.js';
import { type Choice, isChoice, isMixture, Labels, type Meeting, productsAbove } from './labels.js';

/** Why the routing of a mixture is not known. */
export interface Untold {
  readonly why: string;
}

/**
 * The routing of a branch that has experts; undefined for one that chooses nothing.
 *
 * @param skip the residual point that the branch reads
 */
export function routingOf(flow: Flow, skip: string, branch: Branch): Routing | Untold | undefined {
  const all = [...branch.nodes];
  const operators = all.filter(isMixture);
  const [operator] = operators;
  const last = all.filter(isChoice).reduce<Node | undefined>((deepest, node) => deeper(flow, deepest, node), undefined);
  if (operators.length > 1) return { why: `it has ${operators.length} operators that each choose experts` };
  const from = operator ? operator.inputs[1] : last?.inputs[0];
  if (from === undefined) return undefined;
  const routers = productsAbove(flow, from, branch.nodes);
  const [router] = routers;
  if (!router || routers.length > 1)
    return { why: `what it chooses by comes of ${routers.length} products with weights, not of one` };
  const labels = new Labels(flow, router, (node) => countOf(flow, node), skip);
  for (const node of branch.nodes) labels.visit(node);
  const experts = router.columns;
  if (operator) {
    const given = labels.of.get(operator.inputs[1] ?? '');
    if (given?.kind !== 'numbers' || given.of !== 'all')
      return { why: `what its ${operatorName(operator)} chooses by is made in a way that is not known` };
    return ofOperator(flow, operator, experts, addsMore(flow, branch, operator));
  }
  return ofChoice(flow, labels, { branch, last, experts });
}

const deeper = (flow: Flow, known: Node | undefined, node: Node): Node =>
  known && flow.depth(known.outputs[0] ?? '') >= flow.depth(node.outputs[0] ?? '') ? known : node;

/** k of a TopK, where the file states it. */
function countOf(flow: Flow, { inputs, attributes }: Node): number | undefined {
  const stated = attributes.get('k');
  if (stated?.kind === 'int') return Number(stated.value);
  const tensor = flow.model.graph.initializers.get(inputs[1] ?? '');
  return tensor && tensor.dims.length < 2 ? constantNumbers(tensor)[0] : undefined;
}

function ofOperator(flow: Flow, node: Node, experts: number | undefined, shared: boolean): Routing | Untold {
  if (intAttribute(node, 'use_sparse_mixer', 0) !== 0)
    return { why: `its ${operatorName(node)} weighs the chosen by a sparse mixer, which is not rebuilt` };
  const stack = flow.model.graph.initializers.get(node.inputs[2] ?? '');
  return {
    experts: experts ?? stack?.dims[0],
    chosen: intAttribute(node, 'k', 1),
    from: { operator: node },
    multiplies: 'outputs',
    intermediate: undefined,
    shared,
  };
}

/** Whether something else than the operator's result is in the sum that the branch ends in. */
const addsMore = (flow: Flow, { output, nodes }: Branch, operator: Node): boolean => {
  const { products, obstacles } = endings(flow, output, { nodes, ungated: true });
  return products.length > 0 && obstacles.some(({ node }) => node === operator);
};

interface Chosen {
  readonly branch: Branch;
  readonly last: Node | undefined;
  readonly experts: number | undefined;
}

function ofChoice(flow: Flow, labels: Labels, { branch, last, experts }: Chosen): Routing | Untold | undefined {
  const own = [...labels.choices.values()].filter(({ value }) => value !== '');
  if (own.length === 0)
    return {
      why: 'what it chooses among are not the scores of experts for each token, as where experts choose tokens',
    };
  const outputs = labels.meetings.filter(({ stream }) => stream.expert && !stream.weighed);
  const inputs = labels.meetings.filter(({ stream }) => !stream.expert);
  const meetings = outputs.length > 0 ? outputs : inputs;
  // An MLP of which the largest activations alone count chooses no experts.
  if (!meetings.some(({ numbers }) => numbers.shaped) && branchProduct(flow, branch)) return undefined;
  const found = oneOf(meetings);
  if ('why' in found) return found;
  const { numbers, root } = found;
  const choice = choiceOf(labels, numbers.choice, last);
  if (!choice) return { why: 'which choice its weights belong to is not known' };
  if (numbers.of === 'token' && choice.count !== 1) return { why: 'its weights are one number for each token' };
  const multiplies = meetings === outputs ? 'outputs' : 'inputs';
  const ends = multiplies === 'outputs' ? meetings.map(({ value }) => value) : [branch.output];
  return {
    experts,
    chosen: choice.count,
    from: {
      indices: choice.value,
      axis: choice.axis,
      weights: root,
      ofAll: numbers.of === 'all',
      turned: numbers.rootTurned,
      scores: labels.scores,
    },
    multiplies,
    intermediate: intermediateOf(flow, labels, ends, branch),
    shared: labels.shared,
  };
}

/** The numbers that all meetings are of. */
function oneOf(meetings: readonly Meeting[]): { numbers: Meeting['numbers']; root: string } | Untold {
  const met = meetings.filter(({ numbers }) => numbers.shaped);
  if (met.length === 0) return { why: 'its scores multiply no vectors, as the weights of experts would' };
  const [first] = met;
  const roots = new Set(met.map(({ numbers: { root } }) => root));
  const [root] = roots;
  if (roots.size > 1) return { why: 'what experts give is multiplied by numbers of several kinds' };
  if (!first || root === undefined) return { why: 'its weights are made in a way that cannot be followed' };
  return { numbers: first.numbers, root };
}

function choiceOf(labels: Labels, key: string | undefined, last: Node | undefined): Choice | undefined {
  if (key !== undefined) return labels.choices.get(key);
  const joined = [...labels.choices.values()].filter(({ value }) => last?.outputs.includes(value));
  return joined[0];
}

/** What the last product of the chosen experts multiplies, where one product does it for all tokens and choices. */
function intermediateOf(
  flow: Flow,
  labels: Labels,
  ends: readonly string[],
  { nodes }: Branch,
): Routing['intermediate'] {
  const found = new Map<Node, { tensor: string; ofAll: boolean }>();
  for (const end of ends)
    for (const { node } of endings(flow, end, { nodes }).obstacles) {
      const pair = node.inputs.slice(0, 2);
      const isMatrix = (value: string | undefined) => labels.of.get(value ?? '')?.kind === 'matrix';
      const at = pair.findIndex(isMatrix);
      if (at >= 0) {
        const label = labels.of.get(pair[at] ?? '');
        if (label?.kind !== 'matrix' || !label.aligned) return undefined;
        found.set(node, { tensor: stripped(flow, pair[1 - at] ?? ''), ofAll: false });
      } else if (node.op === 'MatMul' && flow.isConstant(pair[1] ?? ''))
        found.set(node, { tensor: stripped(flow, pair[0] ?? ''), ofAll: true });
      else if (!isChoice(node)) return undefined;
    }
  const [only, ...others] = found.values();
  return others.length === 0 ? only : undefined;
}
