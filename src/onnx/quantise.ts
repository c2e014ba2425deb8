/**
 * Products with a weight as a quantiser makes them, as nodes around the weight that the file has: ONNX Runtime rounds
 * it when it makes a session, so that nothing is written or held that the file does not have.
 */
import { type Attribute, DataType, type Model, type Node } from './model.js';

/** What a scheme makes the nodes of one product with. */
interface Build {
  /** A node with one output, which it returns. */
  readonly node: (op: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>) => string;
  /** A node with several. */
  readonly several: (op: string, inputs: readonly string[], outputs: number) => readonly string[];
  /** A constant of one number, or a list of them. */
  readonly floats: (values: number | readonly number[]) => string;
  readonly integers: (values: readonly number[]) => string;
  /** int8 zero. */
  readonly zero: string;
  /** ReduceMax or ReduceMin along an axis that stays, or over all. */
  readonly reduce: (op: 'ReduceMax' | 'ReduceMin', value: string, axis?: number) => string;
  /** Rows and columns of the weight. */
  readonly extents: readonly [number, number];
}

/** The value of x W, both in single precision. */
export type Rewrite = (build: Build, x: string, weight: string) => string;

const to = (type: DataType) => ({ to: { kind: 'int', value: BigInt(type) } }) as const;

/** Scales are no smaller, so that a weight of nothing but 0 is divided by something. */
const least = 1e-30;

/** Largest magnitude ÷ `levels`, of all of a value or along an axis that stays. */
function symmetricScale({ node, reduce, floats }: Build, value: string, axis?: number, levels = 127): string {
  const largest = node('Max', [reduce('ReduceMax', node('Abs', [value]), axis), floats(least)]);
  return node('Div', [largest, floats(levels)]);
}

/**
 * ONNX Runtime's `quantize_dynamic`: unsigned bytes with one scale for the activation, signed ones for the weight.
 *
 * @param perChannel whether each column of the weight has a scale of its own
 * @param levels of a weight on either side of 0; with `reduce_range` 64
 */
export const dynamic =
  (perChannel: boolean, levels?: number): Rewrite =>
  (build, x, weight) => {
    const { node, several, zero } = build;
    const [bytes = '', scale = '', point = ''] = several('DynamicQuantizeLinear', [x], 3);
    const own = symmetricScale(build, weight, perChannel ? -2 : undefined, levels);
    const rounded = perChannel
      ? node('Cast', [node('Round', [node('Div', [weight, own])])], to(DataType.int8))
      : node('QuantizeLinear', [weight, own, zero]);
    const product = node('MatMulInteger', [bytes, rounded, point]);
    return node('Mul', [node('Cast', [product], to(DataType.float)), node('Mul', [scale, own])]);
  };

/**
 * ONNX Runtime's `MatMulNBits` with 4 bits, symmetric: each block of rows of a column has the scale with which its
 * entry of the largest magnitude becomes −8. Products are in single precision.
 */
const blockwise =
  (size: number): Rewrite =>
  ({ node, reduce, floats, integers, extents: [rows, columns] }, x, weight) => {
    const blocks = Math.ceil(rows / size);
    const padding = blocks * size - rows;
    const padded = padding === 0 ? weight : node('Pad', [weight, integers([0, 0, padding, 0])]);
    const cut = node('Reshape', [padded, integers([blocks, size, columns])]);
    const [most, fewest] = [reduce('ReduceMax', cut, 1), reduce('ReduceMin', cut, 1)];
    const isPositive = node('Greater', [most, node('Neg', [fewest])]);
    const scale = node('Div', [node('Where', [isPositive, most, fewest]), floats(-8)]);
    const isNothing = node('Equal', [scale, floats(0)]);
    const divisor = node('Where', [isNothing, floats(1), scale]);
    const levels = node('Clip', [node('Round', [node('Div', [cut, divisor])]), floats(-8), floats(7)]);
    const whole = node('Reshape', [node('Mul', [levels, divisor]), integers([blocks * size, columns])]);
    const used = padding === 0 ? whole : node('Slice', [whole, integers([0]), integers([rows]), integers([0])]);
    return node('MatMul', [x, used]);
  };

/** Signed bytes with one scale for each token, and one for each column of the weight; products of what they stand for. */
const byToken: Rewrite = (build, x, weight) => {
  const { node } = build;
  const rounded = (value: string, axis: number) => {
    const scale = symmetricScale(build, value, axis);
    return node('Mul', [node('Round', [node('Div', [value, scale])]), scale]);
  };
  return node('MatMul', [rounded(x, -1), rounded(weight, -2)]);
};

/** By the name by which people choose it. */
export const schemes = {
  'int8-dynamic': dynamic(false),
  'int8-channel': dynamic(true),
  'int8-token': byToken,
  'int4-block32': blockwise(32),
  'int4-block128': blockwise(128),
} as const satisfies Readonly<Record<string, Rewrite>>;

/** A product that a scheme can take. */
export interface Quantisable {
  /** `MatMul` of an activation with a constant matrix on its right. */
  readonly node: Node;
  readonly extents: readonly [rows: number, columns: number];
}

/**
 * `model` with products as a scheme makes them. What they give is called as before.
 *
 * @param products nodes of the model's graph
 */
export function withProducts(model: Model, rewrite: Rewrite, products: readonly Quantisable[]): Model {
  const initializers = new Map(model.graph.initializers);
  const constant = (type: DataType, dims: readonly number[], { buffer }: NodeJS.TypedArray): string => {
    const data = new Uint8Array(buffer);
    const name = `quantised/${type}/${dims.join('x')}/${Buffer.from(data).toString('hex')}`;
    initializers.set(name, { name, type, dims, data });
    return name;
  };
  const byOutput = new Map(products.map((product) => [product.node.outputs[0], product]));
  const nodes = model.graph.nodes.flatMap((old): Node[] => {
    const product = byOutput.get(old.outputs[0]);
    if (!product) return [old];
    const made: Node[] = [];
    const several = (op: string, inputs: readonly string[], outputs: number, attributes = {}) => {
      const name = `${old.outputs[0]}/${made.length}`;
      const names = Array.from({ length: outputs }, (_, i) => `${name}/${i}`);
      made.push({ name, op, domain: '', inputs, outputs: names, attributes: new Map(Object.entries(attributes)) });
      return names;
    };
    const node: Build['node'] = (op, inputs, attributes) => several(op, inputs, 1, attributes)[0] ?? '';
    const integers: Build['integers'] = (values) =>
      constant(DataType.int64, [values.length], BigInt64Array.from(values, BigInt));
    const [x = '', weight = ''] = old.inputs;
    const result = rewrite(
      {
        node,
        several,
        integers,
        floats: (values) => {
          const list = [values].flat();
          const dims = typeof values === 'number' ? [] : [list.length];
          return constant(DataType.float, dims, Float32Array.from(list));
        },
        zero: constant(DataType.int8, [], Uint8Array.of(0)),
        reduce: (op, value, axis) => {
          const keepdims = { keepdims: { kind: 'int', value: axis === undefined ? 0n : 1n } } as const;
          if (axis === undefined) return node(op, [value], keepdims);
          // The axes of a reduction are an input from opset 18 on.
          if ((model.opsets.get('') ?? 1) >= 18) return node(op, [value, integers([axis])], keepdims);
          return node(op, [value], { ...keepdims, axes: { kind: 'ints', value: [BigInt(axis)] } });
        },
        extents: product.extents,
      },
      x,
      weight,
    );
    return [...made.slice(0, -1), ...made.slice(-1).map((last) => ({ ...last, outputs: renamed(last, result, old) }))];
  });
  return { ...model, graph: { ...model.graph, nodes, initializers } };
}

/** The last node made gives what the product gave. */
const renamed = ({ outputs }: Node, result: string, { outputs: [name = ''] }: Node) =>
  outputs.map((output) => (output === result ? name : output));
