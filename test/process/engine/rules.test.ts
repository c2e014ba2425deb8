/** Every rule of differentiation by itself: its adjoints against central differences that ONNX Runtime computes. */
import { describe, expect, it } from 'vitest';
import { createSession } from '../../../src/engine/stages/session.js';
import { floats, size, type Value } from '../../../src/engine/tensors/value.js';
import { adjointsOf } from '../../../src/gradients/adjoint.js';
import { Calculus } from '../../../src/gradients/calculus.js';
import { decomposable, decomposed } from '../../../src/gradients/decompose.js';
import { pathOf } from '../../../src/gradients/path.js';
import { isRule, rules } from '../../../src/gradients/table.js';
import { encodeModel } from '../../../src/onnx/encode.js';
import { type Attribute, DataType, type Graph, type Model, type Node } from '../../../src/onnx/model.js';
import { uniform } from '../../../src/statistics/random.js';
import { type Case, cases, fused } from '../../support/rules.js';

/** Rounding has no derivative: its rules pass on what comes (straight-through), which differences do not show. */
const rounding = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'com.microsoft.QuantizeLinear',
  'com.microsoft.DequantizeLinear',
  'DynamicQuantizeLinear',
  'MatMulInteger',
  'MatMulIntegerToFloat',
  'com.microsoft.QAttention',
]);
const plainName = (op: string) => op.slice(op.lastIndexOf('.') + 1);

it('every rule has a case', () => {
  const wanted = Object.entries(rules).flatMap(([op, rule]) => (isRule(rule) && !rounding.has(op) ? [op] : []));
  expect(new Set(cases.map(({ op }) => op))).toEqual(new Set(wanted));
});

it('every operator that is taken apart has a case', () => {
  const tried = new Set(fused.flatMap(({ op }) => [op, plainName(op)]));
  expect(decomposable.filter((op) => !rounding.has(op) && !tried.has(op))).toEqual([]);
});

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

/** The model of one node, whose float inputs are fed. */
function oneNode({ op, inputs, attributes = {}, opset = 17, outputs = 1 }: Case): Model {
  const dot = op.lastIndexOf('.');
  const node: Node = {
    name: '',
    op: plainName(op),
    domain: dot < 0 ? '' : op.slice(0, dot),
    inputs: inputs.map((input, i) => (input === '' ? '' : `x${i}`)),
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
  const graph: Graph = {
    name: 'one',
    nodes: [node],
    inputs: inputs.flatMap((input, i) =>
      input === '' || 'ints' in input ? [] : [{ name: `x${i}`, type: DataType.float, shape: input }],
    ),
    outputs: [{ name: 'y0' }],
    initializers,
    valueInfo: new Map(),
  };
  const opsets = new Map([
    ['', opset],
    ['com.microsoft', 1],
  ]);
  return { file: '/one', irVersion: 10, producer: '', opsets, graph, functions: [], remarks: [] };
}

async function both(one: Case) {
  const { op, inputs, from = -2, to = 2 } = one;
  const next = uniform(7);
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
  const model = oneNode(one);
  const outputs = model.graph.nodes.flatMap((node) => node.outputs);
  const plain = await results(model, outputs.slice(0, op === 'Split' ? 2 : 1), values);
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

describe('rounding is passed straight through, within its limits', () => {
  const limits = { [DataType.uint8]: [0, 255], [DataType.int8]: [-128, 127] } as const;
  const zeroPoint = 10;
  it.each([
    ['unsigned', DataType.uint8, 'QuantizeLinear'],
    ['signed', DataType.int8, 'QuantizeLinear'],
    ['ONNX Runtime’s', DataType.uint8, 'com.microsoft.QuantizeLinear'],
  ] as const)('%s', async (_, type, op) => {
    const [low, high] = limits[type];
    const scales = [0.5, 2];
    const steps = [low - 30, low - 0.4, low + 0.3, 20.5, high - 0.2, high + 0.4, high + 1, high + 300];
    const x = Float32Array.from(scales.flatMap((scale) => steps.map((at) => (at - zeroPoint) * scale)));
    const dims = [scales.length, steps.length];
    const seed = Float32Array.from(x, (_, i) => i + 1);
    const zeros = { ints: scales.map(() => zeroPoint), type };
    const model = oneNode({
      op,
      inputs: [dims, { ints: scales, type: DataType.float }, zeros],
      attributes: { axis: 0 },
    });
    const value = (data: Float32Array) => ({ type: DataType.float, dims, data });
    const found = await adjoints(model, new Map([['x0', value(x)]]), new Map([['y0', value(seed)]]));
    const expected = scales.flatMap((scale, row) =>
      steps.map((at, i) => (at >= low - 0.5 && at <= high + 0.5 ? (row * steps.length + i + 1) / scale : 0)),
    );
    expect([...(found.get('x0') ?? [])]).toEqual(expected);
  });
});

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
  if (type === DataType.bool || type === DataType.uint8 || type === DataType.int8) return Uint8Array.from(numbers);
  if (type === DataType.int32) return new Uint8Array(Int32Array.from(numbers).buffer);
  return new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
}
