/**
 * Which chains of residual additions are streams of their own: towers that stand beside each other (text and vision), an
 * encoder and the decoder that takes its result in, a language model behind a tower that sees. What goes on from another
 * chain, as later stages of other widths and streams inside of a block do, is none.
 */
import { type Addition, additionsOf, rootOf } from './addition.js';
import { between, type Flow, inputsAbove } from './flow.js';
import { isFloat } from './inputs/types.js';
import { isFusedAttention } from './operators/table.js';
import { isPointwise } from './ops.js';

export interface Towers {
  /** The last addition of each; the one that is shown where nothing else is asked for first, others by their length. */
  readonly towers: readonly Addition[];
  /** Further chains with attention. */
  readonly others: readonly Addition[];
}

/**
 * @param chains the last addition of each chain of a graph, longest first
 * @param joins where the rows of several chains are joined: what starts there is a stream of all of them
 */
export function towersOf(flow: Flow, chains: readonly Addition[], joins: ReadonlySet<string>): Towers {
  const attending = inOrder(
    flow,
    chains.filter((chain) => chain.length > 1 && attends(chain) && !areScores(flow, chain)),
  );
  const [longest] = chains;
  const first = longest && attending.includes(longest) ? attending[0] : longest;
  const main = first && mainOf(flow, first, attending);
  if (!main) return { towers: [], others: [] };
  const towers = [main];
  const others: Addition[] = [];
  for (const chain of attending) {
    if (chain === main) continue;
    const isPartOf = (one: Addition, other: Addition) => !joins.has(rootOf(one).skip) && isPart(flow, one, other);
    if (towers.every((tower) => !isPartOf(chain, tower) && !isPartOf(tower, chain))) towers.push(chain);
    else others.push(chain);
  }
  return { towers, others };
}

/**
 * The longest chain, unless another with attention takes its result in without starting from it, as a decoder does
 * with its encoder's.
 */
function mainOf(flow: Flow, longest: Addition, attending: readonly Addition[]): Addition {
  return attending.reduce((main, chain) => (chain !== main && takesIn(flow, chain, main) ? chain : main), longest);
}

/**
 * Chains by their lengths; of those of one length those that start from floats first, then by the inputs that they start
 * from, so that the order of a file's nodes means nothing.
 */
function inOrder(flow: Flow, chains: readonly Addition[]): Addition[] {
  if (chains.length < 2) return [...chains];
  const { inputs } = flow.model.graph;
  const starts = new Map(
    chains.map((chain) => {
      const above = inputsAbove(flow, rootOf(chain).skip);
      const first = inputs.findIndex(({ name }) => above.has(name));
      return [chain, { isFloat: inputs.some((info) => above.has(info.name) && isFloat(info)), first }] as const;
    }),
  );
  const rank = (chain: Addition) => {
    const { isFloat = false, first = -1 } = starts.get(chain) ?? {};
    return (isFloat ? 0 : inputs.length) + first;
  };
  return chains.toSorted((a, b) => b.length - a.length || rank(a) - rank(b));
}

/** Whether a chain reads another's result without starting from it. */
const takesIn = (flow: Flow, chain: Addition, other: Addition): boolean =>
  between(flow, other.sum, chain.sum) !== undefined && !between(flow, other.sum, rootOf(chain).skip);

/** Whether a chain starts from what another is or leaves, and from no input of its own. */
function isPart(flow: Flow, chain: Addition, other: Addition): boolean {
  const start = rootOf(chain).skip;
  if (!between(flow, rootOf(other).skip, start)) return false;
  const known = inputsAbove(flow, other.sum);
  return [...inputsAbove(flow, start)].every((input) => known.has(input));
}

const attends = (chain: Addition) =>
  additionsOf(chain).some(({ branches }) =>
    branches.some(({ nodes }) => [...nodes].some((node) => node.op === 'Softmax' || isFusedAttention(node))),
  );

/** Whether what a chain leaves becomes weights of attention as it is: sums of biases and scores (T5), and no stream. */
function areScores(flow: Flow, { sum }: Addition): boolean {
  const seen = new Set([sum]);
  for (const value of seen)
    for (const node of flow.consumers(value)) {
      if (node.op === 'Softmax') return true;
      if (isPointwise(node)) for (const output of node.outputs) seen.add(output);
    }
  return false;
}
