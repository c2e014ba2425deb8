/** Every quantised value dequantised once. */
import type { Node } from './model.js';
import type { Pass } from './pass.js';
import { type Renaming, renamed } from './rename.js';

/**
 * `DequantizeLinear` nodes that do the same to the same value become one. ONNX Runtime gives each reader a copy of its
 * own, which hides that a residual sum and a branch read the same value; on loading it does so again. After it no two
 * are alike but for those whose results the graph gives.
 */
export const mergeDequantised: Pass = (graph, { names }) => {
  const shown = new Set(graph.outputs.map(({ name }) => name));
  const groups = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    if (node.op !== 'DequantizeLinear' || shown.has(node.outputs[0] ?? '')) continue;
    groups.set(identity(node), [...(groups.get(identity(node)) ?? []), node]);
  }
  const replaced = new Map<string, string>();
  const dropped = new Set<Node>();
  const valueInfo = new Map(graph.valueInfo);
  for (const [first, ...copies] of groups.values()) {
    if (!first || copies.length === 0) continue;
    // A name of its own, so that the order of the copies means nothing.
    const merged = names.fresh(`${first.inputs[0]}#float`);
    for (const { outputs } of [first, ...copies]) replaced.set(outputs[0] ?? '', merged);
    for (const copy of copies) dropped.add(copy);
    const info = graph.valueInfo.get(first.outputs[0] ?? '');
    if (info) valueInfo.set(merged, { ...info, name: merged });
  }
  if (replaced.size === 0) return graph;
  const rename: Renaming = (name) => replaced.get(name) ?? name;
  const nodes = graph.nodes.filter((node) => !dropped.has(node)).map((node) => renamed(node, rename));
  return { ...graph, nodes, valueInfo };
};

function identity({ domain, inputs, attributes }: Node): string {
  const settings = [...attributes].map(([name, { value }]) => `${name}=${value}`).sort();
  return JSON.stringify([domain, inputs, settings]);
}
