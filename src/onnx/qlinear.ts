/** Operators on quantised values, as their float counterparts between dequantisation and quantisation. */
import type { Attribute, Node } from './model.js';
import type { Pass } from './pass.js';
import type { Names } from './rename.js';

/** The float operator, and where the quantised operands are; each is followed by its scale and zero point. */
interface Counterpart {
  readonly op: string;
  readonly operands: readonly number[];
}

const counterparts: ReadonlyMap<string, Counterpart> = new Map([
  ['QLinearAdd', { op: 'Add', operands: [0, 3] }],
  ['QLinearMul', { op: 'Mul', operands: [0, 3] }],
  ['QLinearMatMul', { op: 'MatMul', operands: [0, 3] }],
  ['QLinearSigmoid', { op: 'Sigmoid', operands: [0] }],
  ['QLinearSoftmax', { op: 'Softmax', operands: [0] }],
]);

/**
 * `QLinear…` operators are split, so that the graph's values have a meaning in floats: the same computation by the
 * operators' definition, and ONNX Runtime fuses it again on loading. After it sums, products and softmaxes are those of
 * floats; others of the kind (convolutions, `QGemm`) stay.
 */
export const splitQuantised: Pass = (graph, { names }) => {
  if (!graph.nodes.some(({ op }) => counterparts.has(op))) return graph;
  const nodes = graph.nodes.flatMap((node) => {
    const counterpart = counterparts.get(node.op);
    return counterpart ? split(node, counterpart, names) : [node];
  });
  return { ...graph, nodes };
};

function split(node: Node, { op, operands }: Counterpart, names: Names): Node[] {
  const [output = ''] = node.outputs;
  const made = (kind: string, inputs: readonly string[], result: string, axis?: Attribute): Node => ({
    name: '',
    op: kind,
    domain: '',
    inputs,
    outputs: [result],
    attributes: new Map(axis ? [['axis', axis]] : []),
  });
  const floats = operands.map((at, i) => {
    // The scales of a weight's columns, where it has one for each.
    const axis: Attribute | undefined = op === 'MatMul' && i === 1 ? { kind: 'int', value: -1n } : undefined;
    return made('DequantizeLinear', node.inputs.slice(at, at + 3), names.fresh(`${output}#operand`), axis);
  });
  const exact = names.fresh(`${output}#exact`);
  const axis = op === 'Softmax' ? node.attributes.get('axis') : undefined;
  const operandsRead = floats.map(({ outputs }) => outputs[0] ?? '');
  // By the name that the file knows the node by.
  const computed = { ...made(op, operandsRead, exact, axis), name: node.name };
  const quantisation = node.inputs.slice(operands.length * 3, operands.length * 3 + 2);
  return [...floats, computed, made('QuantizeLinear', [exact, ...quantisation], output)];
}
