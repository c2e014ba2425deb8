/** Every quantised value dequantised once. */
import type { Graph, Node } from './model.js';
import { type Renaming, renamed } from './rename.js';

/**
 * The graph with `DequantizeLinear` nodes that do the same to the same value made one. ONNX Runtime gives each reader
 * a copy of its own, which hides that a residual sum and a branch read the same value; on loading it does so again.
 */
export function mergeDequantised(graph: Graph): Graph {
  const kept = new Map<string, string>();
  const replaced = new Map<string, string>();
  const shown = new Set(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes) {
    const [output = ''] = node.outputs;
    if (node.op !== 'DequantizeLinear' || shown.has(output)) continue;
    const key = identity(node);
    const first = kept.get(key);
    if (first === undefined) kept.set(key, output);
    else replaced.set(output, first);
  }
  if (replaced.size === 0) return graph;
  const rename: Renaming = (name) => replaced.get(name) ?? name;
  const nodes = graph.nodes.filter(({ outputs }) => !replaced.has(outputs[0] ?? ''));
  return { ...graph, nodes: nodes.map((node) => renamed(node, rename)) };
}

function identity({ domain, inputs, attributes }: Node): string {
  const settings = [...attributes].map(([name, { value }]) => `${name}=${value}`).sort();
  return JSON.stringify([domain, inputs, settings]);
}
