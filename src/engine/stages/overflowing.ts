/** The nodes of a stage that make or read numbers above a bound. */
import { homesOf, isShape } from '../../anatomy/homes.js';
import { factors, isPointwise } from '../../anatomy/ops.js';
import { type GraphIndex, indexGraph } from '../../onnx/graph.js';
import type { Graph, Node } from '../../onnx/model.js';
import { floats, type Values } from '../tensors/value.js';
import type { LoadedModel } from './loaded.js';
import type { Plan, Stage } from './plan.js';
import type { StageRunner } from './runner.js';

/** Values that are fetched at once: a block has a few hundred, as large as its MLP's. */
const together = 8;

/** Where the values of a graph are, for all of its stages. */
export interface Homes {
  readonly index: GraphIndex;
  readonly homes: ReadonlyMap<string, number>;
  /** Scores before their softmax. */
  readonly masked: ReadonlySet<string>;
}

export function placesOf({ model: { graph }, anatomy }: Pick<LoadedModel, 'model' | 'anatomy'>): Homes {
  const index = indexGraph(graph);
  return { index, homes: homesOf(graph, index, anatomy), masked: scoresOf(graph) };
}

/**
 * Runs a stage again and looks at all of its values, but for scores before their softmax: what masks hide there is
 * meant to be out of bounds.
 *
 * @param values has the stage's inputs
 * @param bound the largest magnitude that is none above it
 */
export async function overflowing(
  runner: StageRunner,
  plan: Plan,
  { index, homes, masked }: Homes,
  stage: Stage,
  values: Values,
  bound: number,
): Promise<readonly Pick<Node, 'name' | 'op'>[]> {
  const { model } = runner.loaded;
  const within = (value: string) => homes.get(value) === stage.last && !isShape(index.producer(value));
  const inside = new Set<string>();
  const open = [...stage.outputs];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (inside.has(value) || !within(value)) continue;
    inside.add(value);
    for (const input of index.inputsOf(index.producer(value) as Node)) open.push(input);
  }
  const names = [...inside].filter((value) => !masked.has(value));
  const above = new Set<string>();
  for (const input of stage.inputs) if (isAbove(values, input, bound)) above.add(input);
  for (let from = 0; from < names.length; from += together) {
    const some = names.slice(from, from + together);
    const results = await runner.run(plan.narrow(stage, some), values, false);
    for (const name of some) if (isAbove(results, name, bound)) above.add(name);
  }
  return model.graph.nodes
    .filter((node) => node.outputs.some((output) => inside.has(output)))
    .filter((node) => [...node.inputs, ...node.outputs].some((value) => above.has(value)))
    .map(({ name, op }) => ({ name, op }));
}

function isAbove(values: Values, name: string, bound: number): boolean {
  const value = values.get(name);
  if (!value || value.data instanceof BigInt64Array || value.data instanceof BigUint64Array) return false;
  return floats(value).some((element) => !(Math.abs(element) <= bound));
}

/** What is before a softmax, back to the product that gives the scores. */
function scoresOf(graph: Graph): ReadonlySet<string> {
  const { producer } = indexGraph(graph);
  const found = new Set<string>();
  const open = graph.nodes.flatMap(({ op, inputs }) => (op === 'Softmax' ? inputs.slice(0, 1) : []));
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (found.has(value)) continue;
    found.add(value);
    const node = producer(value);
    if (node && !factors(node) && isPointwise(node)) for (const input of node.inputs) open.push(input);
  }
  return found;
}
