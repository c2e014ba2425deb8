/** Model-local functions put in place of their calls. */

import { grouped } from '../errors.js';
import { quoted } from '../visible.js';
import type { Attribute, FunctionDefinition, Graph, Model, Node } from './model.js';
import { mapSubgraphs, Names, type Renaming, renamed, shortened } from './rename.js';
import { described, GraphError, subgraphs } from './scope.js';

/** More than any real model has; a bound for functions that call each other to multiply. */
const maxNodes = 200_000;
/** Likewise of all that calls copy: nodes, inputs, outputs, attributes. */
const maxParts = 1_500_000;
const maxDepth = 64;

/**
 * The model with every call of one of its functions replaced by the function's body.
 *
 * @throws GraphError for functions that call themselves, expand beyond all bounds or cannot be put in place
 */
export function inlineFunctions(model: Model): Model {
  if (model.functions.length === 0) return model;
  const definitions = new Map(model.functions.map((definition) => [key(definition), definition]));
  const names = new Names(model.graph);
  const opsets = new Map(model.opsets);
  const sizes = new Map(model.functions.map((definition) => [definition, sizeOf(definition)]));
  let count = 0;
  let parts = 0;

  const inline = (nodes: readonly Node[], depth: number): Node[] =>
    nodes.flatMap((node) => {
      if (++count > maxNodes) throw new GraphError(`its functions expand to more than ${grouped(maxNodes)} nodes`);
      const definition = definitions.get(key({ ...node, name: node.op, overload: node.overload ?? '' }));
      if (definition === undefined) {
        return [mapSubgraphs(node, (graph) => ({ ...graph, nodes: inline(graph.nodes, depth) }))];
      }
      if (depth === maxDepth) throw new GraphError(`${described(node)} is a function that calls itself`);
      parts += sizes.get(definition) ?? 0;
      if (parts > maxParts) throw new GraphError(`its functions expand to more than ${grouped(maxParts)} parts`);
      for (const [domain, version] of definition.opsets) if (!opsets.has(domain)) opsets.set(domain, version);
      return inline(body(definition, node, names), depth + 1);
    });

  const nodes = inline(model.graph.nodes, 0);
  return { ...model, opsets, functions: [], graph: { ...model.graph, nodes } };
}

function key({ domain, name, overload }: { domain: string; name: string; overload: string }): string {
  return JSON.stringify([domain, name, overload]);
}

/** What a call copies: nodes, those of subgraphs too, with their inputs, outputs and attributes, and its own. */
function sizeOf({ inputs, outputs, nodes, opsets, attributeDefaults }: FunctionDefinition): number {
  const inside = (all: readonly Node[]): number =>
    all.reduce(
      (sum, node) =>
        sum +
        (1 + node.inputs.length + node.outputs.length + node.attributes.size) +
        subgraphs(node).reduce((more, graph) => more + graph.outputs.length + inside(graph.nodes), 0),
      0,
    );
  return 1 + inputs.length + outputs.length + opsets.size + attributeDefaults.size + inside(nodes);
}

/** The nodes of one call. */
function body(definition: FunctionDefinition, call: Node, names: Names): Node[] {
  const made = new Set(definition.nodes.flatMap((node) => node.outputs));
  const values = new Map<string, string>();
  definition.inputs.forEach((formal, i) => {
    values.set(formal, call.inputs[i] ?? '');
  });
  const passedOn: Node[] = [];
  definition.outputs.forEach((formal, i) => {
    const actual = call.outputs[i] ?? '';
    if (actual === '') return;
    if (made.has(formal) && !values.has(formal)) values.set(formal, actual);
    else passedOn.push(identity(formal, actual));
  });
  const prefix = call.name || call.op;
  const rename: Renaming = (name) => {
    let value = values.get(name);
    if (value === undefined) {
      value = names.fresh(`${prefix}/${name}`);
      values.set(name, value);
    }
    return value;
  };
  const attributes = new Map([...definition.attributeDefaults, ...call.attributes]);
  const nodes = definition.nodes.map((node) => ({
    ...renamed(bound(node, attributes), rename),
    name: node.name === '' ? '' : shortened(`${prefix}/${node.name}`),
  }));
  // The call's own names stay as they are; only the value passed on is a name of the body.
  return [...nodes, ...passedOn.map((node) => ({ ...node, inputs: node.inputs.map(rename) }))];
}

/** The node with attribute references resolved; a reference to an attribute the call leaves out is left out too. */
function bound(node: Node, values: ReadonlyMap<string, Attribute>): Node {
  const attributes = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    const value = attribute.kind === 'reference' ? values.get(attribute.value) : attribute;
    // Opaque bytes carry their own attribute name.
    if (value?.kind === 'opaque' && attribute.kind === 'reference') {
      throw new GraphError(`the attribute ${quoted(attribute.value)} of a function is of a kind that is not supported`);
    }
    if (value !== undefined) attributes.set(name, value);
  }
  const inner = (graph: Graph): Graph => ({ ...graph, nodes: graph.nodes.map((each) => bound(each, values)) });
  return mapSubgraphs({ ...node, attributes }, inner);
}

export function identity(from: string, to: string): Node {
  return { name: '', op: 'Identity', domain: '', inputs: [from], outputs: [to], attributes: new Map() };
}
