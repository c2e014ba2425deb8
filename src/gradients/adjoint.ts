/** The backward pass of a path, as nodes beside those of the graph. */

import { operatorName } from '../anatomy/ops.js';
import type { Graph, Node } from '../onnx/model.js';
import { constantNumbers } from '../onnx/tensor.js';
import type { Calculus, Shape } from './calculus.js';
import type { Path } from './path.js';
import { type Adjoints, NoRule, type RuleCall } from './rule.js';

/** What a run says of values of a path. */
export interface Noted {
  readonly shapes: ReadonlyMap<string, Shape>;
  readonly contents: ReadonlyMap<string, readonly number[]>;
}

/**
 * The adjoints of values from those of others: the vector-Jacobian product of the path between them.
 *
 * @param graph the path's, whose values are read as they are
 * @param known adjoints by value
 * @param wanted values whose adjoints are asked for
 * @returns names by value, of those that something depends on
 * @throws NoRule for a form of an operator that its rule does not hold for
 */
export function adjointsOf(
  graph: Graph,
  path: Path,
  { shapes, contents }: Noted,
  known: ReadonlyMap<string, string>,
  wanted: Iterable<string>,
  build: Calculus,
): ReadonlyMap<string, string> {
  const parts = new Map<string, string[]>();
  for (const [value, adjoint] of known) parts.set(value, [adjoint]);
  const summed = new Map<string, string>();
  const adjoint = (value: string): string | undefined => {
    const done = summed.get(value);
    if (done !== undefined) return done;
    const [first, ...others] = parts.get(value) ?? [];
    if (first === undefined) return undefined;
    const sum = others.length === 0 ? first : build.node('Sum', [first, ...others]);
    summed.set(value, sum);
    return sum;
  };
  const shape = (value: string): Shape => {
    const found = shapes.get(value) ?? graph.initializers.get(value)?.dims;
    if (!found) throw new Error(`the shape of "${value}" is not known`);
    return found;
  };
  const numbers = (name: string): readonly number[] | undefined => {
    const tensor = graph.initializers.get(name);
    return contents.get(name) ?? (tensor && constantNumbers(tensor));
  };
  for (const { node, rule } of path.steps.toReversed()) {
    const counted = node.outputs.filter((_, i) => rule.outputs?.includes(i) ?? true);
    if (counted.every((output) => adjoint(output) === undefined)) continue;
    const input = (i: number) => node.inputs[i] ?? '';
    const call: RuleCall = {
      node,
      build,
      input,
      output: (i) => node.outputs[i] ?? '',
      adjoint: (i) => adjoint(node.outputs[i] ?? ''),
      wants: (i) => path.active.has(input(i)),
      shape,
      stored: (i) => graph.initializers.get(input(i))?.type,
      numbers: (i) => (input(i) === '' ? undefined : numbers(input(i))),
    };
    for (const [i, made] of adjointsAt(call, node, rule.adjoints).entries()) {
      if (made === undefined || !call.wants(i)) continue;
      const before = parts.get(input(i));
      if (before) before.push(made);
      else parts.set(input(i), [made]);
    }
  }
  return new Map(
    [...wanted].flatMap((value) => {
      const found = adjoint(value);
      return found === undefined ? [] : [[value, found]];
    }),
  );
}

function adjointsAt(call: RuleCall, node: Node, make: (call: RuleCall) => Adjoints): Adjoints {
  try {
    return make(call);
  } catch (error) {
    if (!(error instanceof NoRule)) throw error;
    throw new NoRule(`the operator ${operatorName(node)} cannot be differentiated here: ${error.message}`);
  }
}
