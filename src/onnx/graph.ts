/** Who makes and who reads a value. */
import type { Graph, Node } from './model.js';
import { inputsOf } from './scope.js';

export interface GraphIndex {
  /** The node that makes `value`; undefined for graph inputs, initializers and unknown names. */
  producer(value: string): Node | undefined;
  /** The nodes that read `value`, themselves or in a subgraph, in graph order, each once. */
  consumers(value: string): readonly Node[];
  /** What `node` reads: its non-empty inputs, then what its subgraphs capture, each once. */
  inputsOf(node: Node): readonly string[];
  /** Place of `node` in the graph's order; -1 for a node of another graph. */
  position(node: Node): number;
}

/** Indexes the top level of `graph` in one pass. */
export function indexGraph(graph: Graph): GraphIndex {
  const producers = new Map<string, Node>();
  const consumers = new Map<string, Node[]>();
  const inputs = new Map<Node, readonly string[]>();
  const positions = new Map<Node, number>();
  graph.nodes.forEach((node, position) => {
    positions.set(node, position);
    for (const output of node.outputs) if (output !== '') producers.set(output, node);
    const names = inputsOf(node);
    inputs.set(node, names);
    for (const name of names) {
      const readers = consumers.get(name);
      if (readers) readers.push(node);
      else consumers.set(name, [node]);
    }
  });
  return {
    producer: (value) => producers.get(value),
    consumers: (value) => consumers.get(value) ?? [],
    inputsOf: (node) => inputs.get(node) ?? inputsOf(node),
    position: (node) => positions.get(node) ?? -1,
  };
}
