/** Cutting a sub-model out of a graph: what computes some values from some others. */
import { basename, dirname, join } from 'node:path';
import { SinkscopeError } from '../errors.js';
import { quoted } from '../visible.js';
import { encodeModel } from './encode.js';
import { DataType, type Model, type Node, type Tensor, type ValueInfo } from './model.js';
import { inlineBytes } from './parse.js';
import { renamed } from './rename.js';
import { inputsOf } from './scope.js';
import { readTensor } from './tensor.js';

export interface Cut {
  /** Values that are fed; each replaces whatever makes it. Every one becomes an input of the sub-model. */
  readonly inputs: readonly ValueInfo[];
  /** Values to compute, in this order. */
  readonly outputs: readonly string[];
  /** Weights that are known already, each in place of whatever makes it. */
  readonly made?: ReadonlyMap<string, Tensor>;
}

/** A sub-model, encoded. */
export interface Extract {
  readonly bytes: Uint8Array;
  /** Where files of its weights lie. */
  readonly folder: string;
  /** Its weights by what they are called in place of files, when long ones were made: none of them is then read from a file. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * The sub-model of a prepared model that computes `outputs` from `inputs`, encoded. Weights of more than 1 KB are
 * references into files under `folder`, which ONNX Runtime gets as the session option
 * `extra.session.model_external_initializers_file_folder_path`, or to those in memory, `externalData`.
 *
 * @throws SinkscopeError `graph` for an output that nothing makes and for graph inputs that the cut needs but `inputs`
 *   lack
 */
export function extract(model: Model, cut: Cut): Extract {
  const { nodes, initializers, missing } = needs(model, cut);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => quoted(name)).join(', ');
    throw new SinkscopeError({
      code: 'graph',
      file: model.file,
      message: `Computing ${cut.outputs.map(quoted).join(', ')} of ${basename(model.file)} also needs ${names}; feed them too.`,
    });
  }
  const folder = dirname(model.file);
  // Of a file that ONNX Runtime saved it makes values by the same names again, which it refuses to find there.
  const saved = new Set([...initializers.keys()].filter((name) => generated.test(name) && !cut.outputs.includes(name)));
  const called = (name: string) => (saved.has(name) ? `${name}/saved` : name);
  const graph = {
    name: model.graph.name,
    nodes: saved.size > 0 ? nodes.map((node) => renamed(node, called)) : nodes,
    inputs: cut.inputs,
    outputs: cut.outputs.map((name) => ({ name })),
    initializers: new Map([...initializers].map(([name, tensor]) => [called(name), { ...tensor, name: called(name) }])),
    valueInfo: new Map(),
  };
  const files = new Map<string, Uint8Array>();
  const isLong = ({ length }: Tensor['data']) => length > inlineBytes;
  if ([...(cut.made?.values() ?? [])].some(({ data }) => isLong(data))) {
    // ONNX Runtime takes all from memory or none.
    for (const [name, tensor] of initializers) {
      if (tensor.type === DataType.string) continue;
      const data = readTensor(tensor);
      const location = `memory/${files.size}`;
      if (isLong(data)) files.set(location, data);
      const place = { file: join(folder, location), offset: 0, length: data.length };
      graph.initializers.set(called(name), { ...tensor, data: isLong(data) ? place : data });
    }
  }
  return { bytes: encodeModel({ ...model, graph }, folder), folder, files };
}

/** Names of values that ONNX Runtime's optimisation makes. */
const generated = /_token_\d+$/;

/** The nodes that compute a cut, in the order of the graph. */
export const neededNodes = (model: Model, cut: Cut): readonly Node[] => needs(model, cut).nodes;

/** Those of `names`, values that are made of weights alone, that computing a cut begins with. */
export function begunWith(model: Model, cut: Cut, names: ReadonlySet<string>): string[] {
  const inputs = [...cut.inputs, ...[...names].map((name) => ({ name }))];
  return [...needs(model, { ...cut, inputs }).begun].filter((name) => names.has(name));
}

/** What a cut takes of its graph. */
interface Needs {
  /** In the order of the graph. */
  readonly nodes: readonly Node[];
  readonly initializers: Map<string, Tensor>;
  /** Graph inputs that are needed and not fed, in the order of the graph. */
  readonly missing: readonly ValueInfo[];
  /** What is fed and is needed. */
  readonly begun: ReadonlySet<string>;
}

function needs({ file, graph }: Model, cut: Cut): Needs {
  const producers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) producers.set(output, node);
  const fed = new Set(cut.inputs.map((input) => input.name));
  const graphInputs = new Set(graph.inputs.map((input) => input.name));

  const needed = new Set<Node>();
  const initializers = new Map<string, Tensor>();
  const missing = new Set<string>();
  const begun = new Set<string>();
  const seen = new Set<string>();
  const open = [...cut.outputs];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (fed.has(name)) begun.add(name);
    if (seen.has(name) || fed.has(name)) continue;
    seen.add(name);
    const tensor = cut.made?.get(name) ?? graph.initializers.get(name);
    const producer = producers.get(name);
    if (tensor !== undefined) initializers.set(name, tensor);
    else if (graphInputs.has(name)) missing.add(name);
    else if (producer === undefined) {
      throw new SinkscopeError({
        code: 'graph',
        file,
        message: `Nothing in ${basename(file)} makes the value ${quoted(name)}.`,
      });
    } else if (!needed.has(producer)) {
      needed.add(producer);
      for (const one of inputsOf(producer)) open.push(one);
    }
  }
  return {
    nodes: graph.nodes.filter((node) => needed.has(node)).map((node) => withoutOutputs(node, fed)),
    initializers,
    missing: graph.inputs.filter((input) => missing.has(input.name)),
    begun,
  };
}

/** A value that is fed may be one of several outputs of a node that is needed for the others: rename it there. */
function withoutOutputs(node: Node, fed: ReadonlySet<string>): Node {
  if (!node.outputs.some((output) => fed.has(output))) return node;
  return { ...node, outputs: node.outputs.map((output) => (fed.has(output) ? `${output}#replaced` : output)) };
}
