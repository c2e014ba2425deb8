/** `If` nodes whose way is known, replaced by the branch they take. */
import { identity } from './functions.js';
import { DataType, type Graph, type Node, type ValueInfo } from './model.js';
import type { Pass } from './pass.js';
import { type Names, type Renaming, renamed } from './rename.js';
import { constantNumbers } from './tensor.js';

/**
 * Every top-level `If` is inlined whose condition is constant, or is a boolean graph input: merged decoders have one
 * that says whether a cache is given, and it is taken as `switches` says; or that only asks whether an axis can be
 * squeezed. After it no such node of the graph it was given is left; the branches may have held further ones.
 */
export const inlineBranches: Pass = (graph, { names, switches }) => {
  const flags = new Set(graph.inputs.filter((input) => input.type === DataType.bool).map((input) => input.name));
  const condition = (node: Node): boolean | undefined => {
    if (node.op !== 'If' || node.domain !== '') return undefined;
    const name = node.inputs[0] ?? '';
    const constant = graph.initializers.get(name);
    if (constant?.type === DataType.bool) return constantNumbers(constant)[0] !== 0;
    return flags.has(name) ? switches : squeezing(node);
  };

  const nodes: Node[] = [];
  const initializers = new Map(graph.initializers);
  const valueInfo = new Map(graph.valueInfo);
  let some = false;
  for (const node of graph.nodes) {
    const taken = condition(node);
    const branch = taken === undefined ? undefined : node.attributes.get(taken ? 'then_branch' : 'else_branch');
    if (branch?.kind !== 'graph') {
      nodes.push(node);
      continue;
    }
    some = true;
    const inlined = inline(branch.value, node.outputs, names);
    for (const one of inlined.nodes) nodes.push(one);
    for (const [name, tensor] of inlined.initializers) initializers.set(name, tensor);
    for (const info of inlined.valueInfo) valueInfo.set(info.name, info);
  }
  return some ? { ...graph, nodes, initializers, valueInfo } : graph;
};

/**
 * The way that squeezes, of the two that torch's exporter writes for a `squeeze` of an axis whose extent it does not
 * know: the model's author meant it. Where the extent is not one after all, ONNX Runtime refuses to run it.
 */
function squeezing(node: Node): boolean | undefined {
  const only = (name: string) => {
    const branch = node.attributes.get(name);
    if (branch?.kind !== 'graph') return undefined;
    const [one, ...others] = branch.value.nodes.filter(({ op }) => op !== 'Constant');
    const [output] = branch.value.outputs;
    return others.length === 0 && one && one.outputs[0] === output?.name ? one : undefined;
  };
  const [yes, no] = [only('then_branch'), only('else_branch')];
  if (!yes || !no || yes.inputs[0] !== no.inputs[0]) return undefined;
  if (yes.op === 'Squeeze' && no.op === 'Identity') return true;
  return no.op === 'Squeeze' && yes.op === 'Identity' ? false : undefined;
}

function inline(branch: Graph, outputs: readonly string[], names: Names) {
  const made = new Set(branch.nodes.flatMap((node) => node.outputs));
  const values = new Map<string, string>();
  const passedOn: [from: string, to: string][] = [];
  const valueInfo: ValueInfo[] = [];
  branch.outputs.forEach((info, i) => {
    const actual = outputs[i] ?? '';
    if (actual === '') return;
    valueInfo.push({ ...info, name: actual });
    if (made.has(info.name) && !values.has(info.name)) values.set(info.name, actual);
    else passedOn.push([info.name, actual]);
  });
  for (const name of [...made, ...branch.initializers.keys()]) {
    if (name !== '' && !values.has(name)) values.set(name, names.claim(name));
  }
  const rename: Renaming = (name) => values.get(name) ?? name;
  for (const info of branch.valueInfo.values()) valueInfo.push({ ...info, name: rename(info.name) });
  return {
    nodes: [
      ...branch.nodes.map((node) => renamed(node, rename)),
      ...passedOn.map(([from, to]) => identity(rename(from), to)),
    ],
    initializers: [...branch.initializers].map(
      ([name, tensor]) => [rename(name), { ...tensor, name: rename(name) }] as const,
    ),
    valueInfo,
  };
}
