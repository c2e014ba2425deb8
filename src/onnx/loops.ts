/** `Scan` and `Loop` nodes over a number of steps that the file states, as the nodes of all their steps. */
import { int64Tensor } from './constants.js';
import { identity } from './functions.js';
import {
  type Attribute,
  DataType,
  type Graph,
  intAttribute,
  intsAttribute,
  type Node,
  type Tensor,
  type ValueInfo,
} from './model.js';
import type { Pass, PassContext } from './pass.js';
import { type Renaming, renamed } from './rename.js';
import { constantNumbers, elementBits, elementCount } from './tensor.js';

/** A model with more layers than this is none; a loop of more steps, or that makes more nodes, stays as it is. */
const maxSteps = 1024;
const maxNodes = 200_000;

/**
 * Layers whose weights are stacked are run by a `Scan` over the stacks, or by a `Loop` that picks its own of them. Every
 * top-level one is unrolled whose steps the file states: by an extent of a stack, or by a trip count with nothing else
 * to end it. Each step's weights are a part of the stack where it lies. What runs over tokens stays as it is.
 */
export const unrollLoops: Pass = (graph, context) => {
  const made: Made = { nodes: [], initializers: new Map(graph.initializers), valueInfo: new Map(graph.valueInfo) };
  let some = false;
  for (const node of graph.nodes) {
    const plan = planOf(node, graph, context);
    const size = plan && plan.steps * plan.body.nodes.length + made.nodes.length;
    if (!plan || plan.steps > maxSteps || (size ?? 0) > maxNodes) {
      made.nodes.push(node);
      continue;
    }
    some = true;
    unroll(node, plan, made, context);
  }
  return some ? { ...graph, ...made } : graph;
};

interface Made {
  readonly nodes: Node[];
  readonly initializers: Map<string, Tensor>;
  readonly valueInfo: Map<string, ValueInfo>;
}

/** What is scanned, along which axis, in which direction. */
interface Scanned {
  readonly value: string;
  readonly axis: number;
  readonly backward: boolean;
}

/** A loop as its steps take it. */
interface Plan {
  readonly body: Graph;
  readonly steps: number;
  /** Names of values before the first step, for the body's inputs between `skipped` and the scanned ones. */
  readonly states: readonly string[];
  /** Inputs (and outputs) of the body that are no states: a Loop's number of the step and condition. */
  readonly before: { readonly inputs: number; readonly outputs: number };
  readonly scanned: readonly Scanned[];
  /** How what each step gives is stacked. */
  readonly stacked: readonly Omit<Scanned, 'value'>[];
}

function planOf(node: Node, graph: Graph, { opset }: PassContext): Plan | undefined {
  const body = node.attributes.get('body');
  if (node.domain !== '' || body?.kind !== 'graph') return undefined;
  if (node.op === 'Scan' && opset >= 9) return scanOf(node, body.value, graph);
  return node.op === 'Loop' ? loopOf(node, body.value, graph) : undefined;
}

function scanOf(node: Node, body: Graph, { initializers }: Graph): Plan | undefined {
  const count = intAttribute(node, 'num_scan_inputs', 0);
  const states = node.inputs.slice(0, node.inputs.length - count);
  const along = (name: string, at: number) => intsAttribute(node, name)?.[at] ?? 0;
  const scanned = node.inputs.slice(states.length).map(
    (value, at): Scanned => ({
      value,
      axis: along('scan_input_axes', at),
      backward: along('scan_input_directions', at) === 1,
    }),
  );
  const stacked = body.outputs
    .slice(states.length)
    .map((_, at) => ({ axis: along('scan_output_axes', at), backward: along('scan_output_directions', at) === 1 }));
  const steps = scanned.flatMap(({ value, axis }) => initializers.get(value)?.dims.at(axis) ?? [])[0];
  return steps === undefined ? undefined : { body, steps, states, scanned, stacked, before: { inputs: 0, outputs: 0 } };
}

function loopOf(node: Node, body: Graph, { initializers }: Graph): Plan | undefined {
  const [trips = '', condition = '', ...states] = node.inputs;
  const [, again] = body.inputs;
  const [goesOn] = body.outputs;
  const isTrue = (name: string, among: ReadonlyMap<string, Tensor>) => {
    const tensor = among.get(name);
    return tensor?.type === DataType.bool && constantNumbers(tensor).every((value) => value !== 0);
  };
  const count = initializers.get(trips);
  if (!count || !again || !goesOn || (condition !== '' && !isTrue(condition, initializers))) return undefined;
  // The condition is what it was, or true.
  let name = goesOn.name;
  for (let step = 0; step < 8; step++) {
    const before = body.nodes.find(({ outputs }) => outputs.includes(name));
    if (before?.op === 'Constant') {
      const value = before.attributes.get('value');
      if (value?.kind !== 'tensor' || !isTrue('', new Map([['', value.value]]))) return undefined;
      name = again.name;
    } else if (before?.op === 'Identity' || before?.op === 'Cast') name = before.inputs[0] ?? '';
    else break;
  }
  if (name !== again.name && !isTrue(name, body.initializers) && !isTrue(name, initializers)) return undefined;
  const [steps = -1] = constantNumbers(count);
  if (steps < 1) return undefined;
  const stacked = body.outputs.slice(1 + states.length).map(() => ({ axis: 0, backward: false }));
  return { body, steps, states, scanned: [], stacked, before: { inputs: 2, outputs: 1 } };
}

function unroll(node: Node, plan: Plan, made: Made, context: PassContext): void {
  const { body, steps, scanned, before, stacked } = plan;
  const { names } = context;
  const shared = new Map<string, string>();
  for (const [name, tensor] of body.initializers) {
    const own = names.claim(name);
    shared.set(name, own);
    made.initializers.set(own, { ...tensor, name: own });
  }
  const constant = (base: string, tensor: Tensor) => {
    const name = names.fresh(base);
    made.initializers.set(name, { ...tensor, name });
    return name;
  };
  let states = plan.states;
  const given: string[][] = stacked.map(() => []);
  for (let step = 0; step < steps; step++) {
    const values = new Map(shared);
    const bind = (at: number, value: string) => {
      const input = body.inputs[at];
      if (input) values.set(input.name, value);
    };
    if (before.inputs > 0) {
      bind(0, constant('loop/step', int64Tensor('', [], [BigInt(step)])));
      bind(1, constant('loop/goes-on', { name: '', type: DataType.bool, dims: [], data: Uint8Array.of(1) }));
    }
    states.forEach((value, at) => {
      bind(before.inputs + at, value);
    });
    scanned.forEach((one, at) => {
      const place = one.backward ? steps - 1 - step : step;
      bind(
        before.inputs + states.length + at,
        picked(one, place, made, constant, names.fresh(`${one.value}/${place}`)),
      );
    });
    const rename: Renaming = (name) => values.get(name) ?? name;
    for (const inner of body.nodes)
      for (const output of inner.outputs) if (output !== '') values.set(output, names.claim(output));
    for (const info of body.valueInfo.values())
      made.valueInfo.set(rename(info.name), { ...info, name: rename(info.name) });
    for (const inner of body.nodes) {
      const own = renamed(inner, rename);
      const part = partOf(own, made);
      if (part) made.initializers.set(part.name, part);
      else made.nodes.push(own);
    }
    const results = body.outputs.slice(before.outputs).map(({ name }) => rename(name));
    results.slice(states.length).forEach((value, at) => {
      given[at]?.push(value);
    });
    states = results.slice(0, states.length);
  }
  states.forEach((value, at) => {
    const output = node.outputs[at] ?? '';
    if (output !== '') made.nodes.push(identity(value, output));
  });
  stacked.forEach((how, at) => {
    const output = node.outputs[states.length + at] ?? '';
    if (output !== '') stack(given[at] ?? [], output, how, made, constant, context);
  });
}

/** Stacks what the steps gave. */
function stack(
  values: readonly string[],
  output: string,
  { axis, backward }: Omit<Scanned, 'value'>,
  made: Made,
  constant: (base: string, tensor: Tensor) => string,
  { names, opset }: PassContext,
): void {
  const axes = opset < 13 ? undefined : constant('loop/axis', int64Tensor('', [1], [BigInt(axis)]));
  const whole = values.map((value) => {
    const name = names.fresh(`${value}/stacked`);
    const attributes: Record<string, Attribute> = axes ? {} : { axes: { kind: 'ints', value: [BigInt(axis)] } };
    made.nodes.push(nodeOf('Unsqueeze', axes ? [value, axes] : [value], name, attributes));
    return name;
  });
  const order = backward ? whole.toReversed() : whole;
  made.nodes.push(nodeOf('Concat', order, output, { axis: { kind: 'int', value: BigInt(axis) } }));
}

/** The name of the part of what is scanned that a step takes: a part of the weights where they lie, else picked. */
function picked(
  { value, axis }: Scanned,
  place: number,
  made: Made,
  constant: (base: string, tensor: Tensor) => string,
  name: string,
): string {
  const tensor = made.initializers.get(value);
  const part = axis === 0 && tensor && rowOf(tensor, place, name);
  if (part) {
    made.initializers.set(name, part);
    return name;
  }
  const index = constant('loop/place', int64Tensor('', [], [BigInt(place)]));
  made.nodes.push(nodeOf('Gather', [value, index], name, { axis: { kind: 'int', value: BigInt(axis) } }));
  return name;
}

/** Entry `place` of the first axis, without it; undefined where it does not begin and end with a byte. */
function rowOf(tensor: Tensor, place: number, name: string): Tensor | undefined {
  const [extent = 0, ...dims] = tensor.dims;
  const bits = elementBits(tensor.type);
  const bytes = bits === undefined ? Number.NaN : (elementCount(dims) * bits) / 8;
  const at = place < 0 ? place + extent : place;
  if (!Number.isInteger(bytes) || at < 0 || at >= extent) return undefined;
  const { data } = tensor;
  return {
    name,
    type: tensor.type,
    dims,
    data:
      data instanceof Uint8Array
        ? data.subarray(at * bytes, (at + 1) * bytes)
        : { ...data, offset: data.offset + at * bytes, length: bytes },
  };
}

/** A weight that a step picks from a stack by its own number, as a part of it; and numbers made from that number. */
function partOf(node: Node, { initializers }: Made): Tensor | undefined {
  const [name] = node.outputs;
  const numbers = node.inputs.map((input) => {
    const tensor = initializers.get(input);
    const isWhole = tensor?.type === DataType.int64 || tensor?.type === DataType.int32;
    return tensor && isWhole && elementCount(tensor.dims) === 1
      ? { tensor, value: constantNumbers(tensor)[0] ?? 0 }
      : undefined;
  });
  const [first, second] = numbers;
  if (!name || node.domain !== '') return undefined;
  const number = (value: number, dims: readonly number[]): Tensor => int64Tensor(name, dims, [BigInt(value)]);
  const stackOf = initializers.get(node.inputs[0] ?? '');
  switch (node.op) {
    case 'Identity':
      return first && { ...first.tensor, name };
    case 'Cast':
      return first && intAttribute(node, 'to', 0) === DataType.int64
        ? number(first.value, first.tensor.dims)
        : undefined;
    case 'Unsqueeze':
      return first && first.tensor.dims.length === 0 ? number(first.value, [1]) : undefined;
    case 'Squeeze':
      if (first) return first.tensor.dims.length === 1 ? number(first.value, []) : undefined;
      return stackOf?.dims[0] === 1 && (second?.value === 0 || intsAttribute(node, 'axes')?.join() === '0')
        ? { ...stackOf, name, dims: stackOf.dims.slice(1) }
        : undefined;
    case 'Reshape':
      return first && second?.tensor.dims.length === 1 ? number(first.value, [1]) : undefined;
    case 'Add':
    case 'Sub': {
      if (!first || !second) return undefined;
      const dims = first.tensor.dims.length > second.tensor.dims.length ? first.tensor.dims : second.tensor.dims;
      return number(node.op === 'Add' ? first.value + second.value : first.value - second.value, dims);
    }
    case 'Gather': {
      if (!stackOf || !second || intAttribute(node, 'axis', 0) !== 0 || stackOf.dims.length < 1) return undefined;
      const row = rowOf(stackOf, second.value, name);
      return row && { ...row, dims: [...second.tensor.dims, ...row.dims] };
    }
    case 'Slice': {
      const [, start, end, axes, step] = numbers;
      const isRow = start && end && end.value === start.value + 1 && (!step || step.value === 1);
      if (!stackOf || !isRow || (node.inputs[3] && axes?.value !== 0)) return undefined;
      const row = rowOf(stackOf, start.value, name);
      return row && { ...row, dims: [1, ...row.dims] };
    }
  }
  return undefined;
}

const nodeOf = (
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Record<string, Attribute>,
): Node => ({
  name: '',
  op,
  domain: '',
  inputs,
  outputs: [output],
  attributes: new Map(Object.entries(attributes)),
});
