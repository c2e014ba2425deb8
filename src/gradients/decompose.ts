/**
 * Fused operators as the ordinary nodes that they stand for, so that a few rules differentiate all of them. What an
 * attention operator computes is told by its own file in `src/anatomy/operators/`.
 */
import { argument } from '../anatomy/operators/operator.js';
import { repeated, softmaxOf } from '../anatomy/operators/softmax.js';
import { attentionOperator, attentionOperators } from '../anatomy/operators/table.js';
import { DataType, floatAttribute, type Graph, intAttribute, type Model, type Node } from '../onnx/model.js';
import { Calculus } from './calculus.js';

/** Values that a node's outputs are, in their order; '' for one that is not had. Undefined for a form that is not known. */
type Decomposition = (node: Node, build: Calculus, model: Model) => readonly string[] | undefined;

const gelu = (build: Calculus, x: string): string => {
  const inner = build.node('Erf', [build.times(x, Math.SQRT1_2)]);
  return build.times(build.mul(x, build.add2(inner, build.float(1))), 0.5);
};

const tanhGelu = (build: Calculus, x: string): string => {
  const cubed = build.times(build.mul(x, build.mul(x, x)), 0.044715);
  const inner = build.node('Tanh', [build.times(build.add2(x, cubed), Math.sqrt(2 / Math.PI))]);
  return build.times(build.mul(x, build.add2(inner, build.float(1))), 0.5);
};

/** x σ(α x). */
const swish = (build: Calculus, x: string, alpha: number): string =>
  build.mul(x, build.node('Sigmoid', [alpha === 1 ? x : build.times(x, alpha)]));

const plus = (build: Calculus, value: string, bias: string | undefined) => (bias ? build.add2(value, bias) : value);

/** A product with a weight of a few bits: the weight in floats is what the operator makes of the unit matrix. */
const matMulNBits: Decomposition = (node, build) => {
  const [x = '', packed = '', scales = '', zeros = '', groups = '', bias] = node.inputs;
  const k = intAttribute(node, 'K', 0);
  if (k < 1) return undefined;
  const unit = build.node('EyeLike', [build.zeros([k, k])], { dtype: DataType.float });
  const weight = build.like(node, [unit, packed, scales, zeros, groups].slice(0, groups ? 5 : zeros ? 4 : 3));
  return [plus(build, build.node('MatMul', [x, weight]), bias)];
};

const dequantised = (build: Calculus, parts: readonly (string | undefined)[], axis?: number): string =>
  build.node(
    'DequantizeLinear',
    parts.filter((part): part is string => part !== undefined && part !== ''),
    axis === undefined ? {} : { axis },
  );

const attention: Decomposition = (node, build, model) => {
  const operator = attentionOperator(node);
  const call = operator && { operator, node, model };
  const operands = call && operator.rebuild?.(call, build);
  if (!operands || 'why' in operands) return undefined;
  const pattern = softmaxOf(build, operands);
  const values = operands.grouped ? repeated(build, operands.q, operands.v) : operands.v;
  const weighed = build.node('MatMul', [pattern, values]);
  // Heads that the operator counts itself were axes of their own only inside of it.
  const apart = operator.domain === '' && intAttribute(node, operator.heads, 0) === 0;
  const joined = apart
    ? weighed
    : build.node('Reshape', [build.transpose(weighed, [0, 2, 1, 3]), build.ints([0, 0, -1])]);
  // A cache is what it is given and what is new, where it grows.
  const grows = operator.room?.(node) === undefined && argument(call, 'past') === '';
  return operator.outputs.map((result) =>
    result === 'weighed'
      ? joined
      : grows && result === 'present-key'
        ? operands.k
        : grows && result === 'present-value'
          ? operands.v
          : '',
  );
};

const decompositions: Readonly<Record<string, Decomposition>> = {
  Gelu: (node, build) => {
    const approximate = node.attributes.get('approximate');
    const isTanh = approximate?.kind === 'string' && approximate.value === 'tanh';
    return [(isTanh ? tanhGelu : gelu)(build, node.inputs[0] ?? '')];
  },
  BiasGelu: ({ inputs: [x = '', bias] }, build) => [gelu(build, plus(build, x, bias))],
  FastGelu: ({ inputs: [x = '', bias] }, build) => [tanhGelu(build, plus(build, x, bias))],
  QuickGelu: (node, build) => [swish(build, node.inputs[0] ?? '', floatAttribute(node, 'alpha', 1.702))],
  Swish: (node, build) => [swish(build, node.inputs[0] ?? '', floatAttribute(node, 'alpha', 1))],
  Mish: ({ inputs: [x = ''] }, build) => [build.mul(x, build.node('Tanh', [build.node('Softplus', [x])]))],
  MatMulNBits: matMulNBits,
  MatMulIntegerToFloat: ({ inputs: [a, b, scale, own, zero, point, bias] }, build) => [
    plus(
      build,
      build.node('MatMul', [dequantised(build, [a, scale, zero]), dequantised(build, [b, own, point], 1)]),
      bias,
    ),
  ],
};

/** Names of operators that are taken apart, by themselves and with a domain before it: those of attention. */
export const decomposable: readonly string[] = [
  ...Object.keys(decompositions),
  ...attentionOperators.flatMap(({ op, domain, rebuild }) => (rebuild ? [domain === '' ? op : `${domain}.${op}`] : [])),
];

/** The model with fused operators taken apart, computing the same values under the same names. */
export function decomposed(model: Model): Model {
  const { graph } = model;
  const initializers = new Map(graph.initializers);
  const nodes: Node[] = [];
  let changed = false;
  for (const [index, node] of graph.nodes.entries()) {
    const decompose = attentionOperator(node) ? attention : decompositions[node.op];
    const build = new Calculus(`sinkscope/part/${index}/`, model.opsets.get('') ?? 1);
    const outputs = decompose?.(node, build, model);
    const needed = node.outputs.filter((output, i) => output !== '' && !outputs?.[i]);
    if (!outputs || needed.some((output) => isRead(graph, output))) {
      nodes.push(node);
      continue;
    }
    changed = true;
    for (const one of build.nodes) {
      const constant = one.op === 'Constant' ? one.attributes.get('value') : undefined;
      if (constant?.kind === 'tensor') initializers.set(one.outputs[0] ?? '', constant.value);
      else nodes.push(one);
    }
    for (const [i, output] of node.outputs.entries())
      if (output !== '' && outputs[i]) nodes.push(named(outputs[i], output));
  }
  if (!changed) return model;
  const opsets = new Map(model.opsets).set('com.microsoft', 1);
  return { ...model, opsets, graph: { ...graph, nodes, initializers } };
}

const isRead = (graph: Graph, value: string): boolean => graph.nodes.some(({ inputs }) => inputs.includes(value));

const named = (value: string, output: string): Node => ({
  name: '',
  op: 'Identity',
  domain: '',
  inputs: [value],
  outputs: [output],
  attributes: new Map(),
});
