/** Names: what subgraphs capture, whether every value has one source, and an order in which nodes can run. */

import { named, quoted } from '../visible.js';
import type { Attribute, Graph, Node } from './model.js';

/** A sentence's part that says what is wrong with a graph. */
export class GraphError extends Error {}

/** The graphs in a node's attributes (bodies and branches). */
export function subgraphs(node: Node): readonly Graph[] {
  const found: Graph[] = [];
  for (const attribute of node.attributes.values()) {
    if (attribute.kind === 'graph') found.push(attribute.value);
    else if (attribute.kind === 'graphs') for (const one of attribute.value) found.push(one);
  }
  return found;
}

const capturedBy = new WeakMap<Graph, readonly string[]>();

/** Values of the surrounding graph that `graph` reads, each once. */
export function captures(graph: Graph): readonly string[] {
  const known = capturedBy.get(graph);
  if (known) return known;
  const own = new Set<string>(['', ...graph.initializers.keys()]);
  for (const input of graph.inputs) own.add(input.name);
  for (const node of graph.nodes) for (const output of node.outputs) own.add(output);
  const free = new Set<string>();
  for (const node of graph.nodes) for (const name of inputsOf(node)) if (!own.has(name)) free.add(name);
  for (const { name } of graph.outputs) if (!own.has(name)) free.add(name);
  const result = [...free];
  capturedBy.set(graph, result);
  return result;
}

/** What a node reads: its non-empty inputs and what its subgraphs capture, each once. */
export function inputsOf(node: Node): readonly string[] {
  const graphs = subgraphs(node);
  return [...new Set([...node.inputs, ...graphs.flatMap(captures)])].filter((name) => name !== '');
}

/** Names that can be read, from the inside out. */
export interface NameScope {
  has(name: string): boolean;
}

/**
 * The graph with its nodes (and those of its subgraphs) in an order in which they can run: the file's own where that
 * works.
 *
 * @throws GraphError for values with two sources or none and for cycles
 */
export function ordered(graph: Graph, outer: NameScope = new Set()): Graph {
  const given = [...graph.inputs.map((input) => input.name), ...graph.initializers.keys()];
  const nodes = orderedNodes(graph.nodes, given, outer);
  const own = new Set(given);
  for (const node of nodes) for (const output of node.outputs) own.add(output);
  for (const { name } of graph.outputs) {
    if (!own.has(name) && !outer.has(name)) throw new GraphError(`nothing makes the output ${quoted(name)}`);
  }
  return nodes === graph.nodes ? graph : { ...graph, nodes };
}

/** As {@link ordered}, for bare nodes whose `given` values come from elsewhere. */
export function orderedNodes(unordered: readonly Node[], given: Iterable<string>, outer: NameScope): readonly Node[] {
  const own = new Set<string>();
  const claim = (name: string): void => {
    if (own.has(name)) throw new GraphError(`two sources make the value ${quoted(name)}`);
    own.add(name);
  };
  for (const name of given) claim(name);
  for (const node of unordered) for (const output of node.outputs) if (output !== '') claim(output);
  const scope: NameScope = { has: (name) => own.has(name) || outer.has(name) };

  const inner = unordered.map((node) => withOrderedSubgraphs(node, scope));
  const nodes = inner.every((node, i) => node === unordered[i]) ? unordered : inner;
  const sources = new Map<string, Node>();
  for (const node of nodes) for (const output of node.outputs) sources.set(output, node);

  const reads = new Map<Node, readonly string[]>();
  for (const node of nodes) {
    const names = inputsOf(node);
    reads.set(node, names);
    const dangling = names.find((name) => !scope.has(name));
    if (dangling !== undefined)
      throw new GraphError(`${described(node)} reads ${quoted(dangling)}, which nothing makes`);
  }

  const order: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  for (const root of nodes) {
    // A node stays on the stack while its inputs are made; meeting an open one again means a cycle.
    const stack = [root];
    for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
      if (state.get(node) === 'done') {
        stack.pop();
        continue;
      }
      state.set(node, 'open');
      let waiting = false;
      for (const name of reads.get(node) ?? []) {
        const source = sources.get(name);
        if (source === undefined || state.get(source) === 'done') continue;
        if (state.get(source) === 'open') throw new GraphError(`${described(source)} depends on its own output`);
        stack.push(source);
        waiting = true;
      }
      if (waiting) continue;
      state.set(node, 'done');
      order.push(node);
      stack.pop();
    }
  }
  return order.every((node, i) => node === nodes[i]) ? nodes : order;
}

function withOrderedSubgraphs(node: Node, scope: NameScope): Node {
  if (subgraphs(node).length === 0) return node;
  const attributes = new Map<string, Attribute>();
  let changed = false;
  for (const [name, attribute] of node.attributes) {
    let sorted = attribute;
    if (attribute.kind === 'graph') {
      const value = ordered(attribute.value, scope);
      if (value !== attribute.value) sorted = { kind: 'graph', value };
    } else if (attribute.kind === 'graphs') {
      const value = attribute.value.map((graph) => ordered(graph, scope));
      if (value.some((graph, i) => graph !== attribute.value[i])) sorted = { kind: 'graphs', value };
    }
    changed ||= sorted !== attribute;
    attributes.set(name, sorted);
  }
  return changed ? { ...node, attributes } : node;
}

/** A node as a person finds it: its name and operator. */
export function described(node: Node): string {
  const op = node.domain === '' ? node.op : `${node.domain}.${node.op}`;
  return node.name === '' ? `a ${named(op)} node` : `the ${named(op)} node ${quoted(node.name)}`;
}
