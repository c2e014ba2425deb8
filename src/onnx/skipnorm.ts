/**
 * ONNX Runtime's fused norms (docs/ContribOperators.md), split so that the sum they normalise is the output of an `Add`.
 * Both norms they become are known to ONNX Runtime in the ai.onnx domain at every opset.
 */
import { int64Tensor } from './constants.js';
import { type Attribute, floatAttribute, type Node, type Tensor, type ValueInfo } from './model.js';
import type { Pass } from './pass.js';
import type { Names } from './rename.js';

/** What one fused node becomes. */
interface Split {
  readonly nodes: readonly Node[];
  readonly initializers: readonly Tensor[];
  /** The value that is normalised, and the norm's output, which has its type and shape. */
  readonly sum: string;
  readonly normed: string;
}

/** Skip norms and embedding norms are split into their parts. After it what a norm reads is a value of the graph. */
export const splitNorms: Pass = (graph, { names, opset }) => {
  const nodes: Node[] = [];
  const initializers = new Map(graph.initializers);
  const valueInfo = new Map<string, ValueInfo>(graph.valueInfo);
  let changed = false;
  for (const node of graph.nodes) {
    const split = isSkipNorm(node)
      ? splitSkipNorm(node, names)
      : isEmbeddingNorm(node)
        ? splitEmbeddingNorm(node, names, opset)
        : undefined;
    if (split === undefined) {
      nodes.push(node);
      continue;
    }
    changed = true;
    for (const one of split.nodes) nodes.push(one);
    for (const tensor of split.initializers) initializers.set(tensor.name, tensor);
    const info = valueInfo.get(split.normed);
    if (info && !valueInfo.has(split.sum)) valueInfo.set(split.sum, { ...info, name: split.sum });
  }
  return changed ? { ...graph, nodes, initializers, valueInfo } : graph;
};

const isSkipNorm = ({ op, domain }: Node): boolean =>
  domain === 'com.microsoft' && (op === 'SkipLayerNormalization' || op === 'SkipSimplifiedLayerNormalization');

/** Inputs: input, skip, gamma, beta (layer norm only), bias. Outputs: output, mean, inverse deviation, sum. */
function splitSkipNorm(node: Node, names: Names): Split {
  const simplified = node.op === 'SkipSimplifiedLayerNormalization';
  const [input = '', skip = '', gamma = '', fourth = '', fifth = ''] = node.inputs;
  const beta = simplified ? '' : fourth;
  const bias = simplified ? fourth : fifth;
  const [output = '', mean = '', deviation = '', connected = ''] = node.outputs;
  const normed = output || names.fresh(`${node.name || node.op}#norm`);
  const sum = connected || names.fresh(`${normed}#sum`);
  const add = sums(node, bias === '' ? [input, skip] : [input, skip, bias], sum, names);
  const norm = simplified
    ? made(node, 'SimplifiedLayerNormalization', [sum, gamma], [normed, deviation])
    : made(node, 'LayerNormalization', [sum, gamma, beta], [normed, mean, deviation]);
  return { nodes: [...add, withEpsilon(norm, node)], initializers: [], sum, normed };
}

const isEmbeddingNorm = ({ op, domain, inputs }: Node): boolean =>
  domain === 'com.microsoft' && op === 'EmbedLayerNormalization' && inputs.length >= 6;

/**
 * Inputs: token ids, segment ids, word, position and segment tables, gamma, beta, mask, position ids.
 * Outputs: output, mask index (tokens of each row, int32), sum.
 */
function splitEmbeddingNorm(node: Node, names: Names, opset: number): Split {
  const [ids = '', segments = '', words = '', positions = '', segmentTable = ''] = node.inputs;
  const [, , , , , gamma = '', beta = '', mask = '', positionIds = ''] = node.inputs;
  const [output = '', maskIndex = '', connected = ''] = node.outputs;
  const normed = output || names.fresh(`${node.name || node.op}#norm`);
  const sum = connected || names.fresh(`${normed}#sum`);
  const nodes: Node[] = [];
  const initializers: Tensor[] = [];
  const value = (part: string, op: string, inputs: readonly string[], attributes?: Node['attributes']): string => {
    const name = names.fresh(`${normed}#${part}`);
    nodes.push(made(node, op, inputs, [name], attributes));
    return name;
  };
  const constant = (part: string, dims: readonly number[], element: bigint): string => {
    const name = names.fresh(`${normed}#${part}`);
    initializers.push(int64Tensor(name, dims, [element]));
    return name;
  };

  const terms = [value('words', 'Gather', [words, ids])];
  let where = positionIds;
  if (where === '') {
    const one = constant('one', [], 1n);
    const length = value('length', 'Gather', [value('shape', 'Shape', [ids]), one]);
    where = value('range', 'Range', [constant('zero', [], 0n), length, one]);
  }
  terms.push(value('positions', 'Gather', [positions, where]));
  if (segments !== '' && segmentTable !== '') terms.push(value('segments', 'Gather', [segmentTable, segments]));

  if (maskIndex !== '') {
    // Without a mask the operator gives zeros.
    const counted = mask || value('no-mask', 'Sub', [ids, ids]);
    const keep: [string, Attribute] = ['keepdims', { kind: 'int', value: 0n }];
    if (opset >= 13) {
      nodes.push(made(node, 'ReduceSum', [counted, constant('axis', [1], 1n)], [maskIndex], new Map([keep])));
    } else {
      const axes: Attribute = { kind: 'ints', value: [1n] };
      nodes.push(made(node, 'ReduceSum', [counted], [maskIndex], new Map([keep, ['axes', axes]])));
    }
  }
  for (const one of sums(node, terms, sum, names)) nodes.push(one);
  nodes.push(withEpsilon(made(node, 'LayerNormalization', [sum, gamma, beta], [normed]), node));
  return { nodes, initializers, sum, normed };
}

/** `output` = the terms added from left to right, as the fused kernels do. */
function sums(of: Node, terms: readonly string[], output: string, names: Names): Node[] {
  const nodes: Node[] = [];
  let sum = terms[0] ?? '';
  terms.slice(1).forEach((term, i) => {
    const name = i === terms.length - 2 ? output : names.fresh(`${output}#${i}`);
    nodes.push(made(of, 'Add', [sum, term], [name]));
    sum = name;
  });
  return nodes;
}

function withEpsilon(norm: Node, fused: Node): Node {
  const epsilon: Attribute = { kind: 'float', value: floatAttribute(fused, 'epsilon', 1e-12) };
  return { ...norm, attributes: new Map([['epsilon', epsilon]]) };
}

/** A node in place of a part of `of`, by its name; trailing empty inputs and outputs are left out. */
function made(
  of: Node,
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Node['attributes'] = new Map(),
): Node {
  return { name: of.name, op, domain: '', inputs: trimmed(inputs), outputs: trimmed(outputs), attributes };
}

function trimmed(names: readonly string[]): readonly string[] {
  return names.slice(0, names.findLastIndex((name) => name !== '') + 1);
}
