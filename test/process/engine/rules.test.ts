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
import { type Case, cases, fused } from '../../support/rules.js';

/** Rounding has no derivative: its rules pass on what comes (straight-through), which differences do not show. */
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
