/** Damaged copies of a model file, each decided by its seed. */
import { encodeModel } from '../../src/onnx/encode.js';
import type { Attribute, Graph, Model, Node } from '../../src/onnx/model.js';
import { below, damaged, pick, type Random, randomFrom } from '../support/damaged.js';

/** A mutant of the file with these `bytes`, which reads as `model`; data files are named relative to `folder`. */
export function mutant(bytes: Uint8Array, model: Model, folder: string, seed: number): Uint8Array {
  const random = randomFrom(seed);
  if (random() < 0.3) return damaged(bytes, random);
  return encodeModel({ ...model, graph: pick(random, graphMutations)(model.graph, random) }, folder);
}

type GraphMutation = (graph: Graph, random: Random) => Graph;

/** The graph with one node replaced. */
function withNode(graph: Graph, random: Random, change: (node: Node, values: readonly string[]) => Node): Graph {
  const index = below(random, graph.nodes.length);
  const values = [...graph.nodes.flatMap(({ outputs }) => outputs), ...graph.initializers.keys(), ''];
  return { ...graph, nodes: graph.nodes.map((node, i) => (i === index ? change(node, values) : node)) };
}

const operators =
  'Add MatMul Softmax Reshape Gather If Shape Attention Concat Range Split Loop Identity Nonsense'.split(' ');
const extents = [0, -1, 2 ** 31, 2 ** 53, Number.MAX_SAFE_INTEGER, 3];

const graphMutations: readonly GraphMutation[] = [
  function rewired(graph, random) {
    let result = graph;
    for (let i = 0; i <= below(random, 6); i++)
      result = withNode(result, random, (node, values) => {
        const at = below(random, node.inputs.length);
        return { ...node, inputs: node.inputs.map((input, j) => (j === at ? pick(random, values) : input)) };
      });
    return result;
  },
  function swapped(graph, random) {
    return withNode(graph, random, (node) => ({ ...node, inputs: [...node.inputs].reverse() }));
  },
  function cyclic(graph, random) {
    const late = pick(random, graph.nodes.slice(graph.nodes.length >> 1)).outputs[0] ?? '';
    return withNode(graph, random, (node) => ({ ...node, inputs: [late, ...node.inputs.slice(1)] }));
  },
  function duplicated(graph, random) {
    return withNode(graph, random, (node, values) => ({ ...node, outputs: [pick(random, values)] }));
  },
  function repeated(graph, random) {
    return { ...graph, nodes: [...graph.nodes, pick(random, graph.nodes)] };
  },
  function missing(graph, random) {
    const gone = pick(random, graph.nodes);
    return { ...graph, nodes: graph.nodes.filter((node) => node !== gone) };
  },
  function otherwise(graph, random) {
    return withNode(graph, random, (node) => ({
      ...node,
      op: pick(random, operators),
      domain: pick(random, ['', 'com.microsoft', 'else']),
    }));
  },
  function huge(graph, random) {
    const initializers = new Map(graph.initializers);
    const [name, tensor] = pick(random, [...initializers]);
    initializers.set(name, { ...tensor, dims: tensor.dims.map(() => pick(random, extents)) });
    return { ...graph, initializers };
  },
  function shapeless(graph, random) {
    const inputs = graph.inputs.map((input) => ({ ...input, shape: input.shape?.map(() => pick(random, extents)) }));
    return { ...graph, inputs };
  },
  function attributed(graph, random) {
    return withNode(graph, random, (node) => {
      const wild: Attribute = { kind: 'int', value: pick(random, [-1n, 0n, 2n ** 62n, -(2n ** 63n)]) };
      const names = [...node.attributes.keys(), 'num_heads', 'axis'];
      return { ...node, attributes: new Map([...node.attributes, [pick(random, names), wild]]) };
    });
  },
  function nested(graph, random) {
    const deep = 1 + below(random, 300);
    return withNode(graph, random, (node) => {
      let inner: Graph = {
        name: '',
        nodes: [node],
        inputs: [],
        outputs: [],
        initializers: new Map(),
        valueInfo: new Map(),
      };
      for (let i = 0; i < deep; i++) {
        const attribute: Attribute = { kind: 'graph', value: inner };
        const branches = new Map([['then_branch', attribute]]);
        inner = {
          ...inner,
          nodes: [{ name: '', op: 'If', domain: '', inputs: [''], outputs: ['x'], attributes: branches }],
        };
      }
      return { ...(inner.nodes[0] as Node), outputs: node.outputs };
    });
  },
];
