/** Every rule of differentiation by itself: its adjoints against central differences that ONNX Runtime computes. */
import { describe, expect, it } from 'vitest';
import { createSession } from '../../../src/engine/stages/session.js';
import { floats, size, type Value } from '../../../src/engine/tensors/value.js';
import { adjointsOf } from '../../../src/gradients/adjoint.js';
import { Calculus } from '../../../src/gradients/calculus.js';
import { decomposed } from '../../../src/gradients/decompose.js';
import { pathOf } from '../../../src/gradients/path.js';
import { isRule, rules } from '../../../src/gradients/table.js';
import { encodeModel } from '../../../src/onnx/encode.js';
import { type Attribute, DataType, type Graph, type Model, type Node } from '../../../src/onnx/model.js';
import { uniform } from '../../../src/statistics/random.js';

/** Extents of a float input that is differentiated by, or a constant of integers, floats or truth values. */
type Input =
  | readonly number[]
  | { readonly ints: readonly number[]; readonly dims?: readonly number[]; readonly type?: DataType }
  | '';

interface Case {
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

const cases: readonly Case[] = [
  ...same('Identity', 'Dropout', 'Neg', 'Abs', 'Exp', 'Sin', 'Cos', 'Tanh', 'Sigmoid', 'Erf', 'Softplus', 'Softsign'),
  ...same('Relu', 'LeakyRelu', 'Elu', 'Celu', 'Selu', 'ThresholdedRelu', 'HardSigmoid', 'HardSwish'),
  ...positive('Log', 'Sqrt', 'Reciprocal'),
  { op: 'Cast', inputs: [x], attributes: { to: DataType.float } },
  { op: 'CastLike', inputs: [x, { ints: [1], type: DataType.float }], opset: 19 },
  ...pairs('Add', 'Sub', 'Mul', 'Div', 'Pow', 'Sum', 'Mean', 'Max', 'Min'),
  { op: 'Pow', inputs: [x, { ints: [2], dims: [], type: DataType.float }] },
  { op: 'Pow', inputs: [x, { ints: [3], dims: [], type: DataType.float }] },
  { op: 'Mod', inputs: [x, { ints: [3], type: DataType.float }], attributes: { fmod: 1 }, from: 0.2, to: 2.8 },
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

/** Rounding is not differentiated: what its rules give is held against PyTorch's straight-through estimates in the zoo. */
const rounding = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'com.microsoft.QuantizeLinear',
  'com.microsoft.DequantizeLinear',
  'DynamicQuantizeLinear',
  'MatMulInteger',
]);

it('every rule has a case', () => {
  const wanted = Object.entries(rules).flatMap(([op, rule]) => (isRule(rule) && !rounding.has(op) ? [op] : []));
  expect(new Set(cases.map(({ op }) => op))).toEqual(new Set(wanted));
});

const fused: readonly Case[] = [
  { op: 'Gelu', inputs: [x], opset: 20 },
  { op: 'Gelu', inputs: [x], attributes: { approximate: 'tanh' }, opset: 20 },
  { op: 'com.microsoft.BiasGelu', inputs: [x, [4]] },
  { op: 'com.microsoft.FastGelu', inputs: [x, [4]] },
  { op: 'com.microsoft.QuickGelu', inputs: [x] },
  { op: 'Mish', inputs: [x], opset: 18 },
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

describe.each([...cases, ...fused].map((one, i) => [`${one.op} ${i}`, one] as const))('%s', (_, one) => {
  it('has the adjoints that differences show', async () => {
    const { wanted, found } = await both(one);
    expect(found.size).toBeGreaterThan(0);
    for (const [name, differences] of wanted) {
      const own = found.get(name);
      const largest = Math.max(...differences.map(Math.abs), 1e-3);
      for (const [i, difference] of differences.entries())
        expect(Math.abs((own?.[i] ?? Number.NaN) - difference), `${name}[${i}]`).toBeLessThan(5e-3 * largest);
    }
  });
});

const step = 1e-2;

async function both({ op, inputs, attributes = {}, opset = 17, outputs = 1, from = -2, to = 2 }: Case) {
  const next = uniform(7);
  const dot = op.lastIndexOf('.');
  const names = inputs.map((input, i) => (input === '' ? '' : `x${i}`));
  const node: Node = {
    name: '',
    op: op.slice(dot + 1),
    domain: dot < 0 ? '' : op.slice(0, dot),
    inputs: names,
    outputs: Array.from({ length: outputs }, (_, i) => `y${i}`),
    attributes: new Map(Object.entries(attributes).map(([name, value]) => [name, attributeOf(value)])),
  };
  const initializers = new Map(
    inputs.flatMap((input, i) => {
      if (input === '' || !('ints' in input)) return [];
      const { ints: numbers, dims = [numbers.length], type = DataType.int64 } = input;
      return [[`x${i}`, { name: `x${i}`, type, dims, data: bytesOf(numbers, type) }] as const];
    }),
  );
  // Differences step over no kink: no value is nearer to one, or to another, than a step.
  let place = 0;
  const values = new Map<string, Value>(
    inputs.flatMap((input, i) => {
      if (input === '' || 'ints' in input) return [];
      const data = Float32Array.from({ length: size(input) }, () => {
        place = (place + 0.381966 + 0.01 * next()) % 1;
        const value = from + (to - from) * place;
        return [0, 1, -1].some((kink) => Math.abs(value - kink) < 3 * step) ? value + 6 * step : value;
      });
      return [[`x${i}`, { type: DataType.float, dims: input, data }] as const];
    }),
  );
  const graph: Graph = {
    name: 'one',
    nodes: [node],
    inputs: [...values].map(([name, { dims }]) => ({ name, type: DataType.float, shape: dims })),
    outputs: [{ name: 'y0' }],
    initializers,
    valueInfo: new Map(),
  };
  const model: Model = {
    file: '/one',
    irVersion: 10,
    producer: '',
    opsets: new Map([
      ['', opset],
      ['com.microsoft', 1],
    ]),
    graph,
    functions: [],
    remarks: [],
  };
  const plain = await results(model, node.outputs.slice(0, op === 'Split' ? 2 : 1), values);
  const seeds = new Map(
    [...plain].map(([name, { dims }]) => {
      const data = Float32Array.from({ length: size(dims) }, () => next() - 0.5);
      return [name, { type: DataType.float, dims, data }] as const;
    }),
  );
  const session = await sessionOf(model, [...seeds.keys()]);
  const total = async () => {
    const given = await session.run(values);
    let sum = 0;
    for (const [name, seed] of seeds)
      for (const [i, weight] of floats(seed).entries())
        sum += weight * (floats(given.get(name) as Value)[i] ?? Number.NaN);
    return sum;
  };
  const wanted = new Map<string, number[]>();
  for (const [name, { data }] of values) {
    const differences: number[] = [];
    for (let i = 0; i < data.length; i++) {
      const before = Number(data[i]);
      data[i] = before + step;
      const above = await total();
      data[i] = before - step;
      const below = await total();
      data[i] = before;
      differences.push((above - below) / (Math.fround(before + step) - Math.fround(before - step)));
    }
    wanted.set(name, differences);
  }
  await session.release();
  return { wanted, found: await adjoints(decomposed(model), values, seeds) };
}

async function adjoints(model: Model, values: Map<string, Value>, seeds: ReadonlyMap<string, Value>) {
  const path = pathOf(model.graph, { given: values.keys(), of: seeds.keys(), by: values.keys() });
  expect(path.obstacle).toBeUndefined();
  const inner = [...path.shapes, ...path.contents].filter((name) => !values.has(name));
  const seen = await results(model, [...new Set(inner)], values);
  const all = new Map([...values, ...seen]);
  const shapes = new Map([...all].map(([name, { dims }]) => [name, dims]));
  const contents = new Map(path.contents.map((name) => [name, [...floats(all.get(name) as Value)]]));
  const known = new Map([...seeds.keys()].map((name) => [name, `seed/${name}`]));
  const build = new Calculus('back/', model.opsets.get('') ?? 17);
  const made = adjointsOf(model.graph, path, { shapes, contents }, known, values.keys(), build);
  const graph = {
    ...model.graph,
    nodes: [...model.graph.nodes, ...build.nodes],
    inputs: [
      ...model.graph.inputs,
      ...[...seeds].map(([name, { dims }]) => ({ name: `seed/${name}`, type: DataType.float, shape: dims })),
    ],
  };
  const fed = new Map([...values, ...[...seeds].map(([name, value]) => [`seed/${name}`, value] as const)]);
  const given = await results({ ...model, graph }, [...new Set(made.values())], fed);
  return new Map([...made].map(([name, adjoint]) => [name, floats((given.get(adjoint) ?? fed.get(adjoint)) as Value)]));
}

async function sessionOf(model: Model, outputs: readonly string[]) {
  const graph = { ...model.graph, outputs: outputs.map((name) => ({ name })) };
  return createSession(encodeModel({ ...model, graph }, ''), '', { prepack: true, threads: 1 });
}

async function results(model: Model, outputs: readonly string[], values: ReadonlyMap<string, Value>) {
  const inner = outputs.filter((name) => !values.has(name) && !name.startsWith('seed/'));
  if (inner.length === 0) return new Map<string, Value>();
  const session = await sessionOf(model, inner);
  try {
    return await session.run(values);
  } finally {
    await session.release();
  }
}

function attributeOf(value: number | readonly number[] | string | { readonly float: number }): Attribute {
  if (typeof value === 'number') return { kind: 'int', value: BigInt(value) };
  if (typeof value === 'string') return { kind: 'string', value };
  return 'float' in value ? { kind: 'float', value: value.float } : { kind: 'ints', value: value.map(BigInt) };
}

function bytesOf(numbers: readonly number[], type: DataType): Uint8Array {
  if (type === DataType.float) return new Uint8Array(Float32Array.from(numbers).buffer);
  if (type === DataType.bool) return Uint8Array.from(numbers);
  return new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
}
