/**
 * Products with a weight as a quantiser makes them, as nodes around the weight that the file has, so that none has to be
 * written: what they make of weights alone is computed once, when a stage is made, and fed to its runs.
 */
import { halfToEven } from '../statistics/numbers.js';
import { inColumns, type NodeMaker, type Slices, slicesOf, swapped, turnedTables } from './columns.js';
import { type Attribute, DataType, floatAttribute, intAttribute, type Model, type Node, type Tensor } from './model.js';

/** What a scheme makes the nodes of one product with. */
export interface Build extends NodeMaker {
  /** A node with several. */
  readonly several: (
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes?: Readonly<Record<string, Attribute>>,
  ) => readonly string[];
  /** A constant of one number, or a list of them. */
  readonly floats: (values: number | readonly number[]) => string;
  /** int8 zero. */
  readonly zero: string;
  /** ReduceMax or ReduceMin along an axis that stays, or over all. */
  readonly reduce: (op: 'ReduceMax' | 'ReduceMin', value: string, axis?: number) => string;
}

/** And of that product. */
export interface ProductBuild extends Build {
  /** The product as the file has it, of other operands. */
  readonly product: (x: string, weight: string, bias?: string) => string;
  /** Largest magnitude ÷ `levels` of all of the weight, of which the one that is rounded may be some columns. */
  readonly weightScale: (levels?: number) => string;
  /** Of the weight's rows, which are summed over, from the end. */
  readonly axis: number;
  /** Rows and columns of the weight. */
  readonly extents: readonly [number, number];
  /** What it reads and makes, by the names by which their ranges are known. */
  readonly input: string;
  readonly output: string;
  /** What `Gemm` adds. */
  readonly added: string | undefined;
  /** The same where it is a constant, and what it multiplies that with. */
  readonly bias: { readonly name: string; readonly factor: number } | undefined;
}

/** The value of x W, both in single precision. */
export type Rewrite = (build: ProductBuild, x: string, weight: string) => string;

/** Of each value the least and the largest number that it has been seen to have. */
export type Ranges = ReadonlyMap<string, readonly [number, number]>;

/** How products are quantised. */
export interface Scheme {
  readonly rewrite: Rewrite;
  /** Products are those of `MatMul`, or also `Gemm`. */
  readonly takes: readonly string[];
  /** Of `Gemm` only those that do not scale what they add. */
  readonly unscaled?: boolean;
  /** What rounds a value wherever it is read, products or not, as a file does in which it is rounded once. */
  readonly everywhere?: {
    /** Products of two activations are then quantised too. Undefined for a value that stays as it is; `name` is what the model calls it. */
    readonly round: (build: Build, value: string, name: string) => string | undefined;
  };
}

const to = (type: DataType) => ({ to: { kind: 'int', value: BigInt(type) } }) as const;

/** Scales are no smaller, so that a weight of nothing but 0 is divided by something. */
const least = 1e-30;

/** Largest magnitude ÷ `levels`, of all of a value or along an axis that stays. */
function symmetricScale({ node, reduce, floats }: Build, value: string, axis?: number, levels = 127): string {
  const largest = node('Max', [reduce('ReduceMax', node('Abs', [value]), axis), floats(least)]);
  return node('Div', [largest, floats(levels)]);
}

/**
 * ONNX Runtime's `quantize_dynamic`: unsigned bytes with one scale for the activation, signed ones for the weight. Asked
 * for `MatMul`, it first turns each `Gemm` that scales nothing into a `MatMul` and an `Add`.
 *
 * @param perChannel whether each column of the weight has a scale of its own
 * @param levels of a weight on either side of 0; with `reduce_range` 64
 */
export const dynamic = (perChannel: boolean, levels?: number): Scheme => ({
  takes: ['MatMul', 'Gemm'],
  unscaled: true,
  rewrite(build, x, stored) {
    const { node, several, zero, added } = build;
    const weight = build.axis === -1 ? node('Transpose', [stored], swapped) : stored;
    const [bytes = '', scale = '', point = ''] = several('DynamicQuantizeLinear', [x], 3);
    const own = perChannel ? symmetricScale(build, weight, -2, levels) : build.weightScale(levels);
    const rounded = perChannel
      ? node('Cast', [node('Round', [node('Div', [weight, own])])], to(DataType.int8))
      : node('QuantizeLinear', [weight, own, zero]);
    const product = node('MatMulInteger', [bytes, rounded, point]);
    const made = node('Mul', [node('Cast', [product], to(DataType.float)), node('Mul', [scale, own])]);
    return added === undefined ? made : node('Add', [made, added]);
  },
});

/** `value` in whole steps of a scale, half to even, within the steps `from` … `to` counted from a zero point. */
function stepped({ node, floats }: Build, value: string, scale: string, [from, to]: readonly [number, number]): string {
  const steps = node('Clip', [node('Round', [node('Div', [value, scale])]), floats(from), floats(to)]);
  return node('Mul', [steps, scale]);
}

/**
 * ONNX Runtime's `quantize_static` with its defaults (QDQ form, signed bytes with a zero point for activations, without
 * one for weights, one scale each): inputs and results of products have the range that was measured, with 0 in it, and
 * products of two activations are quantised like those with a weight. A bias of `Gemm` is whole steps of the scales of
 * what is multiplied, within 32 bits. Products are in single precision, which for sums of bytes is all but exact, so that
 * nothing saturates.
 *
 * @param levels of a weight on either side of 0; with `reduce_range` 64
 */
export function fixed(ranges: Ranges, levels = 127): Scheme {
  // With `reduce_range` activations have 7 bits as well.
  const [lowest, highest] = levels === 127 ? [-128, 127] : [-64, 64];
  const stepsOf = (name: string) => {
    const range = ranges.get(name);
    if (!range) return undefined;
    const [from, to] = [Math.min(range[0], 0), Math.max(range[1], 0)];
    const scale = Math.fround(Math.fround(to - from) / (highest - lowest)) || 1;
    return { scale, zero: halfToEven(lowest - Math.fround(from / scale)) };
  };
  const round = (build: Build, value: string, name: string): string | undefined => {
    const steps = stepsOf(name);
    return steps && stepped(build, value, build.floats(steps.scale), [lowest - steps.zero, highest - steps.zero]);
  };
  return {
    takes: ['MatMul', 'Gemm'],
    everywhere: { round },
    rewrite(build, x, weight) {
      const { bias, floats, node } = build;
      const scale = build.weightScale(levels);
      const read = stepsOf(build.input);
      const step = bias && read && node('Mul', [scale, floats(read.scale * bias.factor)]);
      const whole = step && stepped(build, bias.name, step, [-(2 ** 31), 2 ** 31]);
      const made = build.product(x, stepped(build, weight, scale, [-levels, levels]), whole);
      return round(build, made, build.output) ?? made;
    },
  };
}

/**
 * ONNX Runtime's `MatMulNBits` with 4 bits, symmetric: each block of rows of a column has the scale with which its
 * entry of the largest magnitude becomes −8. Products are in single precision.
 */
const blockwise = (size: number): Scheme => ({
  takes: ['MatMul'],
  rewrite({ node, reduce, floats, integers, extents: [rows, columns] }, x, weight) {
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
  },
});

/** Signed bytes with one scale for each token, and one for each column of the weight; products of what they stand for. */
const byToken: Scheme = {
  takes: ['MatMul', 'Gemm'],
  rewrite(build, x, weight) {
    const { node } = build;
    const rounded = (value: string, axis: number) => {
      const scale = symmetricScale(build, value, axis);
      return node('Mul', [node('Round', [node('Div', [value, scale])]), scale]);
    };
    return build.product(rounded(x, -1), rounded(weight, build.axis));
  },
};

/** A binary floating-point format: stored bits of its fraction, exponents of its normal numbers, largest number. */
interface Format {
  readonly fraction: number;
  readonly exponents: readonly [number, number];
  readonly largest: number;
}
/** E4M3 without infinities (arXiv:2209.05433). */
const e4m3: Format = { fraction: 3, exponents: [-6, 8], largest: 448 };

/**
 * `value` as the nearest number of a format, half to even, in single precision. What is above the largest is not
 * bounded. That a logarithm is not exact does no harm: next to a power of two both steps lead to it.
 */
function inFormat({ node, floats }: Build, value: string, { fraction, exponents }: Format): string {
  const binary = node('Mul', [node('Log', [node('Abs', [value])]), floats(1 / Math.LN2)]);
  const exponent = node('Clip', [node('Floor', [binary]), ...exponents.map((one) => floats(one))]);
  const step = node('Pow', [floats(2), node('Sub', [exponent, floats(fraction)])]);
  return node('Mul', [node('Round', [node('Div', [value, step])]), step]);
}

/**
 * fp8 (E4M3), one scale for the tensor: largest magnitude ÷ 448, of the activation at hand and of the weight. Products
 * are of what they stand for, in single precision.
 */
const eighths = (perToken: boolean): Scheme => ({
  takes: ['MatMul', 'Gemm'],
  rewrite(build, x, weight) {
    const { node, floats } = build;
    const rounded = (value: string, scale: string) => {
      const scaled = node('Clip', [node('Div', [value, scale]), floats(-e4m3.largest), floats(e4m3.largest)]);
      return node('Mul', [inFormat(build, scaled, e4m3), scale]);
    };
    const scaleOf = (value: string, axis?: number) => symmetricScale(build, value, axis, e4m3.largest);
    const own = perToken ? scaleOf(weight, build.axis) : build.weightScale(e4m3.largest);
    return build.product(rounded(x, scaleOf(x, perToken ? -1 : undefined)), rounded(weight, own));
  },
});

/**
 * fp16 as converters make it (`float16.convert_float_to_float16`): weights are bounded by 65,504, and what is read and given
 * becomes ±Infinity above it. Sums are in single precision. What lies between products is not rounded: which of it a file
 * has in half precision is a matter of the converter's list and of what the runtime fuses.
 */
const halves: Scheme = {
  takes: ['MatMul', 'Gemm'],
  rewrite(build, x, weight) {
    const { node, floats } = build;
    const rounded = (value: string) => node('Cast', [node('Cast', [value], to(DataType.float16))], to(DataType.float));
    const bounded = node('Clip', [weight, floats(-65_504), floats(65_504)]);
    return rounded(build.product(rounded(x), rounded(bounded)));
  },
};

/** By the name by which people choose it; that of `int8-static` depends on what was measured. */
export const schemes = {
  'int8-dynamic': dynamic(false),
  'int8-channel': dynamic(true),
  'int8-token': byToken,
  'int4-block32': blockwise(32),
  'int4-block128': blockwise(128),
  fp16: halves,
  fp8: eighths(false),
  'fp8-token': eighths(true),
} as const satisfies Readonly<Record<string, Scheme>>;

/** A product that a scheme can take. */
export interface Quantisable {
  /** A product of an activation with a constant matrix on its right. */
  readonly node: Node;
  readonly extents: readonly [rows: number, columns: number];
}

/** What of a model is quantised, nodes of its graph. */
export interface Quantised {
  readonly products: readonly Quantisable[];
  /** Products of two activations, for a scheme that takes them. */
  readonly pairs: readonly Node[];
}

/**
 * `model` with products as a scheme makes them. What they give is called as before.
 *
 * @param kept name of a graph input of booleans, [tokens, 1], that the model gets: rows that products with a weight
 *   compute as they are, without a share in scales
 */
export function withProducts(model: Model, scheme: Scheme, { products, pairs }: Quantised, kept?: string): Model {
  const initializers = new Map(model.graph.initializers);
  const byOutput = new Map(products.map((product) => [product.node.outputs[0], product]));
  const { everywhere } = scheme;
  const paired = new Set(everywhere ? pairs : []);
  const byProducts = new Set(products.map(({ node }) => node.inputs[0] ?? ''));
  const byPairs = new Set([...paired].flatMap(({ inputs }) => inputs));
  const tables = turnedTables(model.graph.nodes);
  const rounded = new Map<string, string>();
  /** As all read it, once it was rounded. */
  const readAs = (build: Build, value: string): string => {
    const isRead = byProducts.has(value) || byPairs.has(value);
    if (!everywhere || !isRead) return value;
    const known = rounded.get(value);
    if (known !== undefined) return known;
    const found = everywhere.round(build, value, value) ?? value;
    const isKept = kept !== undefined && byProducts.has(value) && found !== value;
    const result = isKept ? build.node('Where', [kept, value, found]) : found;
    rounded.set(value, result);
    return result;
  };
  const nodes = model.graph.nodes.flatMap((old): Node[] => {
    const made: Node[] = [];
    const build = builder(model, initializers, old, made);
    const now = { ...old, inputs: old.inputs.map((value) => readAs(build, value)) };
    const product = byOutput.get(old.outputs[0]);
    const [name = ''] = old.outputs;
    let result: string | undefined;
    if (product)
      result = quantised(
        scheme,
        kept,
        build,
        now,
        product,
        old.inputs.slice(2).find((name) => initializers.has(name)),
        slicesOf(build, now.inputs[1] ?? '', tables),
      );
    else if (everywhere && paired.has(old)) result = everywhere.round(build, build.node(old.op, now.inputs), name);
    if (result === undefined) return [...made, now];
    // The node that gives it takes the name of what was there.
    return made.map((one) => ({ ...one, outputs: one.outputs.map((output) => (output === result ? name : output)) }));
  });
  const given = kept === undefined ? [] : [{ name: kept, type: DataType.bool, shape: [null, 1] }];
  return { ...model, graph: { ...model.graph, nodes, initializers, inputs: [...model.graph.inputs, ...given] } };
}

/** What one product gives. */
function quantised(
  scheme: Scheme,
  kept: string | undefined,
  build: Build,
  now: Node,
  { node: old, extents }: Quantisable,
  constant: string | undefined,
  columns: Slices,
): string {
  const { node, floats } = build;
  const transposed = intAttribute(old, 'transB', 0) !== 0;
  const product: ProductBuild = {
    ...build,
    product: (x, weight, bias = old.inputs[2] ?? '') =>
      node(old.op, [x, weight, ...(bias === '' ? [] : [bias])], Object.fromEntries(old.attributes)),
    weightScale: (levels = 127) => {
      // Like the largest of the magnitudes would be, of which there would be as many as the weight has entries.
      const { reduce } = build;
      const weight = now.inputs[1] ?? '';
      const largest = node('Max', [
        reduce('ReduceMax', weight),
        node('Neg', [reduce('ReduceMin', weight)]),
        floats(least),
      ]);
      return node('Div', [largest, floats(levels)]);
    },
    axis: transposed ? -1 : -2,
    extents,
    input: old.inputs[0] ?? '',
    output: old.outputs[0] ?? '',
    added: old.inputs[2] || undefined,
    bias: constant === undefined ? undefined : { name: constant, factor: floatAttribute(old, 'beta', 1) },
  };
  const [x = '', weight = ''] = now.inputs;
  const inPart = (x: string) => (part: string, width: number) =>
    scheme.rewrite({ ...product, extents: [extents[0], width] }, x, part);
  const rewritten = (x: string) =>
    (old.op === 'MatMul' ? inColumns(build, extents, columns, inPart(x)) : undefined) ??
    scheme.rewrite(product, x, weight);
  if (kept === undefined) return rewritten(x);
  const others = rewritten(node('Where', [kept, floats(0), x]));
  return node('Where', [kept, product.product(x, weight), others]);
}

/** Makes nodes that stand in the place of `old`. */
function builder(model: Model, initializers: Map<string, Tensor>, old: Node, made: Node[]): Build {
  const constant = (type: DataType, dims: readonly number[], { buffer }: NodeJS.TypedArray): string => {
    const data = new Uint8Array(buffer);
    const name = `quantised/${type}/${dims.join('x')}/${Buffer.from(data).toString('hex')}`;
    initializers.set(name, { name, type, dims, data });
    return name;
  };
  const several = (op: string, inputs: readonly string[], outputs: number, attributes = {}) => {
    const name = `${old.outputs[0]}/${made.length}`;
    const names = Array.from({ length: outputs }, (_, i) => `${name}/${i}`);
    made.push({ name, op, domain: '', inputs, outputs: names, attributes: new Map(Object.entries(attributes)) });
    return names;
  };
  const node: Build['node'] = (op, inputs, attributes) => several(op, inputs, 1, attributes)[0] ?? '';
  const integers: Build['integers'] = (values) =>
    constant(DataType.int64, [values.length], BigInt64Array.from(values, BigInt));
  return {
    node,
    several,
    integers,
    floats: (values) => {
      const list = [values].flat();
      return constant(DataType.float, typeof values === 'number' ? [] : [list.length], Float32Array.from(list));
    },
    zero: constant(DataType.int8, [], Uint8Array.of(0)),
    reduce: (op, value, axis) => {
      const keepdims = { keepdims: { kind: 'int', value: axis === undefined ? 0n : 1n } } as const;
      if (axis === undefined) return node(op, [value], keepdims);
      // The axes of a reduction are an input from opset 18 on.
      if ((model.opsets.get('') ?? 1) >= 18) return node(op, [value, integers([axis])], keepdims);
      return node(op, [value], { ...keepdims, axes: { kind: 'ints', value: [BigInt(axis)] } });
    },
  };
}
