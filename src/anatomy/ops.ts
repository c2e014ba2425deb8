/**
 * What operators do to the flow of data. Operators are a fixed vocabulary (ONNX and com.microsoft), unlike the names
 * of nodes and tensors, which exporters choose freely and which nothing here looks at.
 */
import { DataType, intsAttribute, type Model, type Node } from '../onnx/model.js';

/** The value passes unchanged, up to its shape and precision. */
const passThrough = new Set([
  'Identity',
  'Cast',
  'CastLike',
  'Dropout',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Expand',
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'ReorderInput',
]);

/** Each output element comes from few input elements, or from one token's vector: nothing is multiplied by a matrix. */
const pointwise = new Set(
  [
    ...passThrough,
    'Abs Add Ceil Celu Clip Concat Cos CumSum Div Elu Equal Erf Exp Floor Gather GatherElements GatherND Gelu'.split(
      ' ',
    ),
    'Greater HardSigmoid HardSwish IsInf IsNaN LayerNormalization LeakyRelu Less Log LpNormalization Max'.split(' '),
    'Mean Min Mish Mod Mul Neg Not Pad Pow PRelu RMSNormalization Reciprocal ReduceMean ReduceMax ReduceMin'.split(' '),
    'ReduceL2 ReduceSum ReduceSumSquare Relu RotaryEmbedding Round Selu Sigmoid Sign SimplifiedLayerNormalization'.split(
      ' ',
    ),
    'ScatterElements ScatterND Sin Slice Softplus Softsign Split Sqrt Sub Sum Swish Tanh TensorScatter Tile'.split(' '),
    'Transpose Trilu Where'.split(' '),
    'BiasGelu BiasSplitGelu FastGelu QuickGelu BiasAdd BiasDropout QLinearAdd QLinearMul QLinearSigmoid'.split(' '),
    'BatchNormalization GroupNorm GroupNormalization InstanceNormalization MeanVarianceNormalization ReorderOutput'.split(
      ' ',
    ),
  ].flat(),
);

/** Products of an activation with a weight or with another activation, and which inputs are multiplied. */
const products = new Map<string, readonly [number, number]>([
  ['MatMul', [0, 1]],
  ['Gemm', [0, 1]],
  ['FusedMatMul', [0, 1]],
  ['FusedGemm', [0, 1]],
  ['TransposeMatMul', [0, 1]],
  ['FusedMatMulActivation', [0, 1]],
  ['GemmFastGelu', [0, 1]],
  ['GemmFloat8', [0, 1]],
  ['Einsum', [0, 1]],
  ['Conv', [0, 1]],
  ['FusedConv', [0, 1]],
  ['MatMulNBits', [0, 1]],
  ['MatMulBnb4', [0, 1]],
  ['MatMulFpQ4', [0, 1]],
  ['MatMulInteger', [0, 1]],
  ['MatMulInteger16', [0, 1]],
  ['MatMulIntegerToFloat', [0, 1]],
  ['DynamicQuantizeMatMul', [0, 1]],
  ['ConvInteger', [0, 1]],
  ['QLinearMatMul', [0, 3]],
  ['QLinearConv', [0, 3]],
  ['QGemm', [0, 3]],
]);

/** Products whose arithmetic depends on how ONNX Runtime lays their weights out when a session is made. */
const prepacked = new Set(['MatMulNBits', 'QMoE']);

/** Operators that move information between tokens without attention: recurrences and scans. */
const mixers = new Set(['DFT', 'STFT', 'Scan', 'Loop', 'LSTM', 'GRU', 'RNN', 'CausalConvWithState', 'LinearAttention']);

/** The value passes unchanged, up to its shape and precision. */
export const isPassThrough = (node: Node): boolean => passThrough.has(node.op);

/** Elementwise, normalising or rearranging: no matrix product, no attention. */
export const isPointwise = (node: Node): boolean => pointwise.has(node.op);

/** The node's output goes on with its input, token by token; a reduction does not (in a norm the input itself does). */
export const carries = (node: Node): boolean => isPointwise(node) && !node.op.startsWith('Reduce');

/** Whether `input` only says which elements of another are taken. */
export const isIndex = (node: Node, input: string): boolean =>
  node.op.startsWith('Gather') && node.inputs[1] === input && node.inputs[0] !== input;

/** Multiplies by weights on whose layout, made with the session, its arithmetic depends. */
export const isPrepacked = (node: Node): boolean => prepacked.has(node.op);

/** Whether matrices of half precision are multiplied as they are, so that products are rounded to it. */
export const computesInHalf = ({ graph }: Model): boolean =>
  graph.nodes.some(
    (node) =>
      (node.op === 'MatMul' || node.op === 'Gemm') &&
      node.inputs.some((name) => {
        const tensor = graph.initializers.get(name);
        return tensor?.type === DataType.float16 && tensor.dims.length > 1;
      }),
  );

/** Moves information between tokens by other means than attention. */
export const isMixer = (node: Node): boolean => mixers.has(node.op) || isConvolution(node);

/** A convolution with neighbours. */
export const isConvolution = (node: Node): boolean =>
  node.op.includes('Conv') && (intsAttribute(node, 'kernel_shape') ?? []).some((extent) => extent > 1);

/** A convolution over two axes or more, with neighbours. */
export const isPictureConvolution = (node: Node): boolean =>
  node.op.includes('Conv') && (intsAttribute(node, 'kernel_shape') ?? []).filter((extent) => extent > 1).length > 1;

/** A sum of tensors. */
export const isSum = (node: Node): boolean => node.op === 'Add' || node.op === 'Sum' || node.op === 'QLinearAdd';

/** The two multiplied values of a product, or undefined for any other node. */
export function factors(node: Node): readonly [string, string] | undefined {
  const places = products.get(node.op);
  return places && [node.inputs[places[0]] ?? '', node.inputs[places[1]] ?? ''];
}

/** A lookup of rows in a table, and where its table and its indices are. */
export function lookup(node: Node): { table: string; indices: string } | undefined {
  if (node.op === 'QEmbedLayerNormalization') return { table: node.inputs[2] ?? '', indices: node.inputs[0] ?? '' };
  if (node.op !== 'Gather' && node.op !== 'GatherBlockQuantized') return undefined;
  return { table: node.inputs[0] ?? '', indices: node.inputs[1] ?? '' };
}

/** What an input may be by its place alone: rows of a position table or a rotation, kinds of segment, what is no padding. */
export type Argument = 'positions' | 'segments' | 'padding';

/** What input `index` is to an operator that is no attention; undefined where its place says nothing. */
export function argumentOf(node: Node, index: number): Argument | undefined {
  if (node.op === 'RotaryEmbedding') return index === (node.domain === '' ? 3 : 1) ? 'positions' : undefined;
  if (node.op !== 'QEmbedLayerNormalization') return undefined;
  return index === 1 ? 'segments' : index === 7 ? 'padding' : undefined;
}

/** An operator as people call it. */
export const operatorName = ({ op, domain }: Node): string => (domain === '' ? op : `${domain}.${op}`);

/** Reads only the shape of its input. */
export const isShapeOnly = (node: Node): boolean => node.op === 'Shape' || node.op === 'Size';
