/** A model under other names and in another order: what is recognised by structure is recognised again. */
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeModel } from '../../src/onnx/encode.js';
import { inlineFunctions } from '../../src/onnx/functions.js';
import type { Attribute, Graph, Model, Node } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { captures, inputsOf, subgraphs } from '../../src/onnx/scope.js';
import { randomFrom } from '../support/damaged.js';

export interface Scrambled {
  readonly model: Model;
  /** The new name of a value; names that `prepare` makes from an old one with a `#` are followed. */
  readonly rename: (name: string) => string;
}

/**
 * The model with opaque names for all that the graph does not show outside (values, initializers, nodes, also in
 * subgraphs; graph inputs and outputs keep theirs), its nodes in a random valid order.
 *
 * @param shapes false to drop what the file says of inner values' types and shapes.
 */
export function scrambled(model: Model, seed: number, shapes: boolean): Scrambled {
  const random = randomFrom(seed);
  const names = new Map<string, string>([['', '']]);
  for (const { name } of [...model.graph.inputs, ...model.graph.outputs]) names.set(name, name);
  let count = 0;
  const rename = (name: string): string => {
    const known = names.get(name);
    if (known !== undefined) return known;
    // Letters in no order, so that nothing can be read from the sorting either.
    const opaque = `v${Math.floor(random() * 36 ** 5).toString(36)}_${(count++).toString(36)}`;
    names.set(name, opaque);
    return opaque;
  };
  const graph = scrambleGraph(model.graph, rename, random, shapes);
  return { model: { ...model, graph }, rename: (name) => followed(names, name) };
}

/**
 * A copy of the fixture in `source` whose model is scrambled, without shapes.
 *
 * @param folder to be made
 * @returns the model's file
 */
export async function scrambledFile(source: string, folder: string, seed: number): Promise<string> {
  await mkdir(folder);
  for (const file of await readdir(source)) await copyFile(join(source, file), join(folder, file));
  // Read from the copy, so that what stays by reference lies beside the new file.
  const { model } = scrambled(inlineFunctions(readModel(join(folder, 'model.onnx'))), seed, false);
  const file = join(folder, 'scrambled.onnx');
  await writeFile(file, encodeModel(model, folder));
  return file;
}

function followed(names: ReadonlyMap<string, string>, name: string): string {
  for (let end = name.length; end > 0; end = name.lastIndexOf('#', end - 1)) {
    const known = names.get(name.slice(0, end));
    if (known !== undefined) return known + name.slice(end);
  }
  throw new Error(`${name} is made from no name of the file`);
}

function scrambleGraph(graph: Graph, rename: (name: string) => string, random: () => number, shapes: boolean): Graph {
  const value = <T extends { readonly name: string }>(item: T): T => ({ ...item, name: rename(item.name) });
  const nodes = shuffled(graph, random).map((node): Node => {
    const attributes = new Map<string, Attribute>();
    for (const [key, attribute] of node.attributes) {
      if (attribute.kind !== 'graph') attributes.set(key, attribute);
      else attributes.set(key, { kind: 'graph', value: scrambleGraph(attribute.value, rename, random, shapes) });
    }
    const name = node.name === '' ? '' : rename(node.name);
    return { ...node, name, attributes, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
  });
  return {
    name: graph.name,
    nodes,
    inputs: graph.inputs.map(value),
    outputs: graph.outputs.map(value),
    initializers: new Map([...graph.initializers.values()].map((tensor) => [rename(tensor.name), value(tensor)])),
    valueInfo: new Map([...(shapes ? graph.valueInfo.values() : [])].map((info) => [rename(info.name), value(info)])),
  };
}

/** The nodes in a random order in which each comes after what it reads. */
function shuffled(graph: Graph, random: () => number): Node[] {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const sourcesOf = (node: Node) =>
    new Set([...inputsOf(node), ...subgraphs(node).flatMap(captures)].flatMap((name) => producers.get(name) ?? []));
  const waiting = new Map(graph.nodes.map((node) => [node, sourcesOf(node).size]));
  const readers = new Map<Node, Node[]>();
  for (const node of graph.nodes)
    for (const source of sourcesOf(node)) readers.set(source, [...(readers.get(source) ?? []), node]);
  const ready = graph.nodes.filter((node) => waiting.get(node) === 0);
  const order: Node[] = [];
  while (ready.length > 0) {
    const [node] = ready.splice(Math.floor(random() * ready.length), 1) as [Node];
    order.push(node);
    for (const reader of readers.get(node) ?? []) {
      const left = (waiting.get(reader) ?? 0) - 1;
      waiting.set(reader, left);
      if (left === 0) ready.push(reader);
    }
  }
  return order;
}
