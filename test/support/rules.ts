/** An example of every operator that can be differentiated, and of those that are taken apart first. */
import { DataType } from '../../src/onnx/model.js';

/** Extents of a float input that is differentiated by, or a constant of integers, floats or truth values. */
export type Input =
  | readonly number[]
  | { readonly ints: readonly number[]; readonly dims?: readonly number[]; readonly type?: DataType }
  | '';

export interface Case {
  readonly op: string;
  readonly inputs: readonly Input[];
  readonly attributes?: Readonly<Record<string, number | readonly number[] | string | { readonly float: number }>>;
  readonly opset?: number;
  readonly outputs?: number;
  /** Where inputs lie: around 0 unless it says more; kinks are stepped over by no difference. */
  readonly from?: number;
  readonly to?: number;
}

const x = [2, 3, 4];
const same = (...ops: string[]): Case[] => ops.map((op) => ({ op, inputs: [x] }));
const positive = (...ops: string[]): Case[] => ops.map((op) => ({ op, inputs: [x], from: 0.5, to: 2 }));
const pairs = (...ops: string[]): Case[] =>
  ops.flatMap((op) => [
    { op, inputs: [x, [3, 1]], from: 0.5, to: 2 },
    { op, inputs: [[4], x], from: 0.5, to: 2 },
  ]);
const ints = (...numbers: number[]): Input => ({ ints: numbers });
const reduced = (...ops: string[]): Case[] =>
  ops.flatMap((op): Case[] => [
    { op, inputs: [x], attributes: { axes: [1], keepdims: 0 }, opset: 11 },
    { op, inputs: [x, ints(0, -1)], attributes: { keepdims: 1 }, opset: 18 },
    { op, inputs: [x], attributes: { keepdims: 0 }, opset: 18 },
  ]);

export const cases: readonly Case[] = [
  ...same('Identity', 'Dropout', 'Neg', 'Abs', 'Exp', 'Sin', 'Cos', 'Tanh', 'Sigmoid', 'Erf', 'Softplus', 'Softsign'),
  ...same('Relu', 'LeakyRelu', 'Elu', 'Celu', 'Selu', 'ThresholdedRelu', 'HardSigmoid', 'HardSwish'),
  ...positive('Log', 'Sqrt', 'Reciprocal'),
  { op: 'Cast', inputs: [x], attributes: { to: DataType.float } },
  { op: 'CastLike', inputs: [x, { ints: [1], type: DataType.float }], opset: 19 },
  ...pairs('Add', 'Sub', 'Mul', 'Div', 'Pow', 'Sum', 'Mean', 'Max', 'Min'),
  { op: 'Pow', inputs: [x, { ints: [2], dims: [], type: DataType.float }] },
  { op: 'Pow', inputs: [x, { ints: [3], dims: [], type: DataType.float }] },
  { op: 'Mod', inputs: [x, { ints: [3], type: DataType.float }], attributes: { fmod: 1 }, from: 0.2, to: 2.8 },
  {
    op: 'Mod',
    inputs: [[4], { ints: [3, 5, 7], dims: [3, 1], type: DataType.float }],
    attributes: { fmod: 1 },
    from: 0.2,
    to: 2.8,
  },
  { op: 'PRelu', inputs: [x, [4]] },
  {
    op: 'Clip',
    inputs: [x, { ints: [-1], dims: [], type: DataType.float }, { ints: [1], dims: [], type: DataType.float }],
  },
  { op: 'Where', inputs: [{ ints: [1, 0, 1, 1], type: DataType.bool }, x, [3, 1]] },
  { op: 'Reshape', inputs: [x, ints(0, -1)] },
  { op: 'Flatten', inputs: [x], attributes: { axis: 2 } },
  { op: 'Squeeze', inputs: [[2, 1, 3], ints(1)] },
  { op: 'Unsqueeze', inputs: [x, ints(0, 2)] },
  { op: 'Transpose', inputs: [x], attributes: { perm: [2, 0, 1] } },
  { op: 'Transpose', inputs: [x] },
  { op: 'Expand', inputs: [[3, 1], ints(2, 3, 4)] },
  { op: 'Tile', inputs: [[2, 3], ints(3, 2)] },
  { op: 'Concat', inputs: [x, [2, 1, 4]], attributes: { axis: -2 } },
  { op: 'Split', inputs: [x, ints(1, 3)], attributes: { axis: 2 }, outputs: 2 },
  { op: 'Slice', inputs: [x, ints(1, -3), ints(2, 100), ints(1, 2)] },
  { op: 'Slice', inputs: [x, ints(-1), ints(-100), ints(2), ints(-2)] },
  { op: 'Gather', inputs: [x, { ints: [2, -1, 0, 2], dims: [2, 2] }], attributes: { axis: 1 } },
  { op: 'Gather', inputs: [x, { ints: [1], dims: [] }] },
  {
    op: 'GatherElements',
    inputs: [[2, 3], { ints: [0, 2, 2, 1, 1, 1], dims: [2, 3] }],
    attributes: { axis: 1 },
    opset: 13,
  },
  { op: 'GatherElements', inputs: [[3, 2], { ints: [0, 2, -1, 1], dims: [2, 2] }], attributes: { axis: 0 }, opset: 18 },
  { op: 'GatherND', inputs: [x, { ints: [0, 1, 1, -1, 0, 1], dims: [3, 2] }] },
  { op: 'ScatterElements', inputs: [[3, 3], { ints: [1, 0], dims: [1, 2] }, [1, 2]], attributes: { axis: 1 } },
  {
    op: 'ScatterElements',
    inputs: [[3, 3], { ints: [1, 1], dims: [1, 2] }, [1, 2]],
    attributes: { axis: 1, reduction: 'add' },
    opset: 18,
  },
  { op: 'ScatterND', inputs: [[4, 3], { ints: [2, 0], dims: [2, 1] }, [2, 3]] },
  {
    op: 'ScatterND',
    inputs: [[4, 3], { ints: [2, 2], dims: [2, 1] }, [2, 3]],
    attributes: { reduction: 'add' },
    opset: 18,
  },
  { op: 'Pad', inputs: [x, ints(0, 1, 2, 1, 0, -1)] },
  { op: 'CumSum', inputs: [x, { ints: [1], dims: [], type: DataType.int64 }] },
  {
    op: 'CumSum',
    inputs: [x, { ints: [2], dims: [], type: DataType.int64 }],
    attributes: { exclusive: 1, reverse: 1 },
  },
  { op: 'TopK', inputs: [x, ints(2)], outputs: 2 },
  { op: 'Trilu', inputs: [x, { ints: [1], dims: [] }], attributes: { upper: 0 } },
  { op: 'MatMul', inputs: [x, [4, 5]] },
  {
    op: 'MatMul',
    inputs: [
      [2, 1, 3, 4],
      [3, 4, 2],
    ],
  },
  { op: 'MatMul', inputs: [[4], [2, 4, 3]] },
  { op: 'MatMul', inputs: [x, [4]] },
  {
    op: 'com.microsoft.FusedMatMul',
    inputs: [
      [2, 4, 3],
      [5, 4],
    ],
    attributes: { transA: 1, transB: 1, alpha: { float: 0.5 } },
  },
  { op: 'com.microsoft.FusedMatMul', inputs: [x, [5, 4]], attributes: { transB: 1 } },
  {
    op: 'Gemm',
    inputs: [[3, 2], [4, 3], [4]],
    attributes: { transA: 1, transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } },
  },
  {
    op: 'Gemm',
    inputs: [
      [2, 3],
      [3, 4],
    ],
  },
  {
    op: 'Einsum',
    inputs: [
      [2, 3, 4],
      [2, 4, 5],
    ],
    attributes: { equation: 'bij,bjk->bki' },
  },
  {
    op: 'Einsum',
    inputs: [
      [2, 3, 4],
      [4, 5],
    ],
    attributes: { equation: '...j,jk->...k' },
  },
  { op: 'Einsum', inputs: [[2, 3], [3]], attributes: { equation: 'ij,j->j' } },
  {
    op: 'Conv',
    inputs: [[1, 4, 7], { ints: [1, -2, 3, 1, 2, -1, 1, 1, 2, 0, 1, 1], dims: [2, 2, 3], type: DataType.float }, [2]],
    attributes: { strides: [2], pads: [1, 2], group: 2 },
  },
  {
    op: 'Conv',
    inputs: [[1, 2, 5, 6], { ints: [1, -2, 3, 1, 2, -1, 1, 1], dims: [1, 2, 2, 2], type: DataType.float }],
    attributes: { auto_pad: 'SAME_UPPER', strides: [2, 1] },
  },
  ...reduced('ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceSumSquare', 'ReduceL1', 'ReduceL2', 'ReduceLogSumExp'),
  { op: 'ReduceLogSum', inputs: [x], attributes: { axes: [1] }, opset: 11, from: 0.5, to: 2 },
  { op: 'ReduceSum', inputs: [x], attributes: { axes: [-1] }, opset: 11 },
  { op: 'ReduceSum', inputs: [x, ints(1)], attributes: { keepdims: 0 } },
  { op: 'Softmax', inputs: [x], attributes: { axis: 1 } },
  { op: 'Softmax', inputs: [x], attributes: { axis: 1 }, opset: 11 },
  { op: 'LogSoftmax', inputs: [x] },
  { op: 'LayerNormalization', inputs: [x, [3, 4], [3, 4]], attributes: { axis: 1, epsilon: { float: 0.1 } } },
  { op: 'SimplifiedLayerNormalization', inputs: [x, [4]], attributes: { epsilon: { float: 0.1 } } },
  { op: 'RMSNormalization', inputs: [x, [4]], opset: 23 },
  {
    op: 'BatchNormalization',
    inputs: [
      [2, 3, 4],
      { ints: [1, 2, 3], type: DataType.float },
      { ints: [1, 2, 3], type: DataType.float },
      { ints: [0, 1, 0], type: DataType.float },
      { ints: [1, 2, 4], type: DataType.float },
    ],
  },
  {
    op: 'InstanceNormalization',
    inputs: [[2, 3, 8], { ints: [1, 2, 3], type: DataType.float }, { ints: [1, 2, 3], type: DataType.float }],
  },
  { op: 'LpNormalization', inputs: [x] },
  { op: 'com.microsoft.RotaryEmbedding', inputs: [[1, 3, 8], { ints: [0, 1, 2], dims: [1, 3] }, ...tables()] },
  { op: 'RotaryEmbedding', inputs: [[1, 2, 3, 4], ...tables(), { ints: [0, 1, 2], dims: [1, 3] }], opset: 23 },
];

/** Cosines and sines of whole turns would be no turns: any numbers do. */
function tables(): readonly Input[] {
  const values = { dims: [3, 2], type: DataType.float };
  return [
    { ints: [1, 2, 3, -1, 1, 2], ...values },
    { ints: [2, 1, -1, 1, 2, 3], ...values },
  ];
}

export const fused: readonly Case[] = [
  { op: 'Gelu', inputs: [x], opset: 20 },
  { op: 'Gelu', inputs: [x], attributes: { approximate: 'tanh' }, opset: 20 },
  { op: 'com.microsoft.BiasGelu', inputs: [x, [4]] },
  { op: 'com.microsoft.FastGelu', inputs: [x, [4]] },
  { op: 'com.microsoft.QuickGelu', inputs: [x] },
  { op: 'Mish', inputs: [x], opset: 18 },
  { op: 'Swish', inputs: [x], attributes: { alpha: { float: 1.5 } }, opset: 24 },
  {
    op: 'com.microsoft.MatMulNBits',
    inputs: [
      [2, 32],
      { ints: Array.from({ length: 48 }, (_, i) => (37 * i) % 256), dims: [3, 2, 8], type: DataType.uint8 },
      { ints: [1, 2, -1, 1, 3, 1], type: DataType.float },
    ],
    attributes: { K: 32, N: 3, bits: 4, block_size: 16 },
  },
  {
    op: 'com.microsoft.GroupQueryAttention',
    inputs: [
      [1, 3, 32],
      [1, 3, 16],
      [1, 3, 16],
      '',
      '',
      { ints: [2], type: DataType.int32 },
      { ints: [3], dims: [], type: DataType.int32 },
    ],
    attributes: { num_heads: 4, kv_num_heads: 2, local_window_size: 2 },
    outputs: 3,
  },
  {
    op: 'com.microsoft.MultiHeadAttention',
    inputs: [
      [1, 3, 8],
      [1, 3, 8],
      [1, 3, 8],
    ],
    attributes: { num_heads: 2 },
  },
  {
    op: 'com.microsoft.Attention',
    inputs: [
      [1, 3, 4],
      { ints: Array.from({ length: 48 }, (_, i) => ((7 * i) % 5) - 2), dims: [4, 12], type: DataType.float },
      [12],
    ],
    attributes: { num_heads: 2, unidirectional: 1 },
  },
  {
    op: 'Attention',
    inputs: [
      [1, 3, 8],
      [1, 3, 4],
      [1, 3, 4],
    ],
    attributes: { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 },
    opset: 23,
  },
];
