/**
 * A model in which the vectors of tokens lie along the last axis of every value that is shown, as everything else takes
 * them to. Where they lie elsewhere the value is turned, and turned back for what reads it: the same numbers.
 */
import type { Graph, Model, Node, ValueInfo } from '../onnx/model.js';
import { renamed } from '../onnx/rename.js';
import { inputsOf } from '../onnx/scope.js';
import type { Anatomy, Turn } from './anatomy.js';

/** The axes of a value in the order in which its vectors come last: [batch, D, 1, T] becomes [batch, 1, T, D]. */
export function turnOf({ axis, rank }: Turn): readonly number[] {
  const others = Array.from({ length: rank }, (_, place) => place).filter((place) => place !== axis);
  return [...others, axis];
}

/** Turns what `anatomy.turns` names; the turned value has the name of the file's own. `anatomy` is the model's own. */
export function withTurns(model: Model, anatomy: Anatomy): { readonly model: Model; readonly anatomy: Anatomy } {
  if (anatomy.turns.length === 0) return { model, anatomy };
  const inputs = new Set(model.graph.inputs.map(({ name }) => name));
  const turns = new Map(anatomy.turns.map((turn) => [turn.value, turn]));
  const raw = (value: string) => `sinkscope/untouched/${value}`;
  const back = (value: string) => `sinkscope/back/${value}`;
  // What the user feeds stays as it is fed, so that of it the turned one has the other name.
  const shown = (value: string) => (inputs.has(value) ? raw(value) : value);
  const read = new Set(model.graph.nodes.flatMap(inputsOf));
  const turn = (found: Turn): Node[] => {
    const { value } = found;
    const perm = turnOf(found);
    const from = inputs.has(value) ? value : raw(value);
    const made = transpose(from, shown(value), perm);
    const inverse = perm.map((_, place) => perm.indexOf(place));
    return read.has(value) ? [made, transpose(shown(value), back(value), inverse)] : [made];
  };
  const nodes: Node[] = anatomy.turns.filter(({ value }) => inputs.has(value)).flatMap(turn);
  for (const node of model.graph.nodes) {
    const reading = renamed({ ...node, outputs: [] }, (name) => (turns.has(name) ? back(name) : name));
    const outputs = node.outputs.map((name) => (turns.has(name) ? raw(name) : name));
    nodes.push({ ...reading, outputs });
    for (const output of node.outputs) {
      const found = turns.get(output);
      if (found) for (const one of turn(found)) nodes.push(one);
    }
  }
  const { embedding } = anatomy;
  return {
    model: { ...model, graph: { ...model.graph, nodes, ...infos(model.graph, turns, inputs) } },
    anatomy: { ...anatomy, embedding: turns.has(embedding) ? shown(embedding) : embedding },
  };
}

/** What the file declares of values that are turned, turned. */
function infos(
  { valueInfo, outputs }: Graph,
  turns: ReadonlyMap<string, Turn>,
  inputs: ReadonlySet<string>,
): Pick<Graph, 'valueInfo' | 'outputs'> {
  const changed = (info: ValueInfo): ValueInfo => {
    const turn = inputs.has(info.name) ? undefined : turns.get(info.name);
    return turn ? { ...info, shape: info.shape && turnOf(turn).map((axis) => info.shape?.[axis] ?? null) } : info;
  };
  return {
    valueInfo: new Map([...valueInfo].map(([name, info]) => [name, changed(info)])),
    outputs: outputs.map(changed),
  };
}

const transpose = (from: string, to: string, perm: readonly number[]): Node => ({
  name: to,
  op: 'Transpose',
  domain: '',
  inputs: [from],
  outputs: [to],
  attributes: new Map([['perm', { kind: 'ints', value: perm.map(BigInt) }]]),
});
