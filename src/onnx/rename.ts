/** Renaming values without one name coming to stand for two things. */
import type { Attribute, Graph, Node } from './model.js';
import { captures, subgraphs } from './scope.js';

export type Renaming = (name: string) => string;

/** The node with its inputs, its outputs and what its subgraphs capture renamed. */
export function renamed(node: Node, rename: Renaming): Node {
  const value: Renaming = (name) => (name === '' ? '' : rename(name));
  return {
    ...mapSubgraphs(node, (graph) => renamedCaptures(graph, rename)),
    inputs: node.inputs.map(value),
    outputs: node.outputs.map(value),
  };
}

/** The node with each graph in its attributes replaced. */
export function mapSubgraphs(node: Node, map: (graph: Graph) => Graph): Node {
  if (subgraphs(node).length === 0) return node;
  const attributes = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    if (attribute.kind === 'graph') attributes.set(name, { kind: 'graph', value: map(attribute.value) });
    else if (attribute.kind === 'graphs') attributes.set(name, { kind: 'graphs', value: attribute.value.map(map) });
    else attributes.set(name, attribute);
  }
  return { ...node, attributes };
}

function renamedCaptures(graph: Graph, rename: Renaming): Graph {
  const captured = new Set(captures(graph).filter((name) => rename(name) !== name));
  if (captured.size === 0) return graph;
  const inside: Renaming = (name) => (captured.has(name) ? rename(name) : name);
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renamed(node, inside)),
    outputs: graph.outputs.map((output) => ({ ...output, name: inside(output.name) })),
  };
}

/** What new names are made from is cut to so many characters: those of calls within calls would grow without end. */
const longestBase = 512;

/** The end of a name, which tells it from others best. */
export function shortened(name: string): string {
  return name.length > longestBase ? name.slice(-longestBase) : name;
}

/** Names of a model's values; gives out new ones. */
export class Names {
  /** In any scope: a new name must not be captured by an inner one. */
  private readonly anywhere = new Set<string>();
  /** On the top level of the graph. */
  private readonly claimed = new Set<string>();
  /** How many names were made from a base: the same one comes again and again. */
  private readonly counts = new Map<string, number>();

  constructor(graph: Graph) {
    for (const input of graph.inputs) this.claimed.add(input.name);
    for (const name of graph.initializers.keys()) this.claimed.add(name);
    for (const node of graph.nodes) for (const output of node.outputs) this.claimed.add(output);
    this.collect(graph);
  }

  /** A name that nothing else has, made from `long`. */
  fresh(long: string): string {
    const base = shortened(long);
    let name = base;
    let count = this.counts.get(base) ?? 0;
    while (this.anywhere.has(name) || this.claimed.has(name)) name = `${base}#${++count}`;
    this.counts.set(base, count);
    this.anywhere.add(name);
    this.claimed.add(name);
    return name;
  }

  /** `name` itself where the top level of the graph does not have it yet, else a new one. */
  claim(name: string): string {
    if (this.claimed.has(name)) return this.fresh(name);
    this.claimed.add(name);
    return name;
  }

  private collect(graph: Graph): void {
    for (const input of graph.inputs) this.anywhere.add(input.name);
    for (const name of graph.initializers.keys()) this.anywhere.add(name);
    for (const node of graph.nodes) {
      for (const name of [...node.inputs, ...node.outputs]) this.anywhere.add(name);
      for (const inner of subgraphs(node)) this.collect(inner);
    }
  }
}
