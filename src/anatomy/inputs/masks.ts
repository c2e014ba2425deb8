/**
 * What a mask means, read off the graph: the values it can bring to the scores or states are followed for a mask of
 * zeros and for one of ones. That which puts a fill in the place of every score, or nothing in the place of every state,
 * masks; the other one keeps.
 */
import { DataType, intAttribute, type Node, type ValueInfo } from '../../onnx/model.js';
import { constantNumbers, elementCount } from '../../onnx/tensor.js';
import type { Flow } from '../flow.js';
import { attentionOperator, roleOf } from '../operators/table.js';
import { argumentOf, isPassThrough } from '../ops.js';
import type { Uses } from './reader.js';
import { isFloat } from './types.js';

/** `keeps`: the value that masks nothing; `proven` where the other one is seen to mask everything. */
export type Reading =
  | { readonly kind: 'mask'; readonly keeps: 0 | 1; readonly proven: boolean }
  /** Added to the scores as it is: zeros change nothing. */
  | { readonly kind: 'added' }
  /** Neither zeros nor ones mask everything. */
  | { readonly kind: 'none' }
  /** The way to the scores goes through what is not followed. */
  | { readonly kind: 'open' };

/** From here on a number that is added to a score leaves nothing of it. */
const least = -1000;
const maxNumbers = 8;
const maxDepth = 12;

/** What the elements of a value can be; `numbers` is undefined where that may be anything. */
interface Possible {
  readonly numbers: readonly number[] | undefined;
  readonly boolean: boolean;
}

const anything: Possible = { numbers: undefined, boolean: false };
const either: Possible = { numbers: [0, 1], boolean: true };

/** Reads the mask `input` at the places where the values `main` meet it. */
export function readMask(flow: Flow, input: ValueInfo, main: ReadonlySet<string>, uses: Uses): Reading {
  const verdicts = (number: number) =>
    verdictsOf(flow, new Map([[input.name, { numbers: [number], boolean: input.type === DataType.bool }]]), main, uses);
  const [zeros, ones] = [verdicts(0), verdicts(1)];
  const masksAll = ({ touched }: Verdicts) => touched.includes('masked');
  if (masksAll(zeros) !== masksAll(ones)) return { kind: 'mask', keeps: masksAll(zeros) ? 1 : 0, proven: true };
  if (!masksAll(ones)) {
    if (isFloat(input) && masksAll(verdicts(-1e9))) return { kind: 'added' };
    // What is counted are tokens, so they are marked with ones.
    if (zeros.counted.includes('masked') && !ones.counted.includes('masked'))
      return { kind: 'mask', keeps: 1, proven: true };
    if (ones.counted.includes('masked') && !zeros.counted.includes('masked'))
      return { kind: 'mask', keeps: 0, proven: true };
    if (uses.touches.length > 0 && ![...zeros.touched, ...ones.touched].includes('open')) return { kind: 'none' };
  }
  return { kind: 'open' };
}

/**
 * Reads a number that is compared with places, as {@link readMask} reads a mask: `keeps` is 1 where it counts what is
 * kept, so that 0 would mask everything, and 0 where it counts what is masked.
 */
export function readCount(flow: Flow, input: ValueInfo, main: ReadonlySet<string>, uses: Uses): Reading {
  const signs = signsOf(flow, input.name, uses);
  /** With the number above or below all places. */
  const verdicts = (sign: number) => {
    const known = new Map<string, Possible>();
    for (const { op, inputs, outputs } of [...uses.through, ...uses.touches.map(({ node }) => node)]) {
      const compare = compares[op];
      const [left, right] = inputs.map((value) => signs.get(value));
      if (!compare || left === right) continue;
      const holds = compare(sign * (left ?? 0), sign * (right ?? 0));
      known.set(outputs[0] ?? '', { numbers: [Number(holds)], boolean: true });
    }
    return verdictsOf(flow, known, main, uses).touched;
  };
  const [few, many] = [verdicts(-1), verdicts(1)];
  if (few.includes('masked') !== many.includes('masked'))
    return { kind: 'mask', keeps: few.includes('masked') ? 1 : 0, proven: true };
  return { kind: [...few, ...many].includes('open') ? 'open' : 'none' };
}

/** Which values grow with the input (1) and which get less as it grows (-1). */
function signsOf(flow: Flow, input: string, { through }: Uses): ReadonlyMap<string, 1 | -1> {
  const signs = new Map<string, 1 | -1>([[input, 1]]);
  for (const node of inOrder(flow, through)) {
    const place = node.inputs.findIndex((value) => signs.has(value));
    const sign = signs.get(node.inputs[place] ?? '');
    const turns = node.op === 'Neg' || (node.op === 'Sub' && place === 1);
    const follows =
      turns || isPassThrough(node) || ['Add', 'Sub', 'Min', 'Max', 'Clip', 'Expand', 'Tile'].includes(node.op);
    if (sign && follows) signs.set(node.outputs[0] ?? '', turns ? (sign === 1 ? -1 : 1) : sign);
  }
  return signs;
}

/** As they are computed. */
const inOrder = (flow: Flow, nodes: readonly Node[]): Node[] =>
  [...nodes].sort((a, b) => flow.depth(a.outputs[0] ?? '') - flow.depth(b.outputs[0] ?? ''));

type Verdict = 'masked' | 'kept' | 'open';

interface Verdicts {
  readonly touched: readonly Verdict[];
  /** Where it is summed on the way. */
  readonly counted: readonly Verdict[];
}

/** @param known what some values are; more are added */
function verdictsOf(
  flow: Flow,
  known: Map<string, Possible>,
  main: ReadonlySet<string>,
  { touches, through }: Uses,
): Verdicts {
  const possible = (value: string, depth = 0): Possible => {
    const before = known.get(value);
    if (before) return before;
    if (main.has(value)) return anything;
    const tensor = flow.model.graph.initializers.get(value);
    if (tensor) return elementCount(tensor.dims) <= 16 ? constant(tensor) : ofType(tensor.type);
    const node = flow.producer(value);
    const found =
      node && depth < maxDepth ? result(node, (place) => possible(node.inputs[place] ?? '', depth + 1)) : anything;
    known.set(value, found);
    return found;
  };
  // In the order in which they are computed, so that no way back is long.
  for (const node of inOrder(flow, through)) for (const output of node.outputs) if (output !== '') possible(output);
  return {
    touched: touches.map(({ node, index, value }) => verdictAt(node, index, possible(value), main)),
    counted: through
      .filter(({ op }) => op === 'CumSum' || op === 'ReduceSum')
      .map(({ inputs }) => (only(possible(inputs[0] ?? ''), (n) => n === 0) ? 'masked' : 'kept')),
  };
}

/** What a value does to the main path where it meets it. */
function verdictAt(node: Node, index: number, possible: Possible, main: ReadonlySet<string>): Verdict {
  const { numbers, boolean } = possible;
  if (numbers === undefined) return 'open';
  const when = (masks: (n: number) => boolean): Verdict => (only(possible, masks) ? 'masked' : 'kept');
  switch (node.op) {
    case 'Add':
    case 'Sum':
    case 'Min':
      return when((n) => n <= least);
    case 'Sub':
      return index === 1 ? when((n) => n >= -least) : 'open';
    case 'Mul':
      return when((n) => n === 0);
    case 'Where': {
      if (index !== 0) return 'open';
      const taken = (n: number) => node.inputs[n === 0 ? 2 : 1] ?? '';
      return when((n) => !main.has(taken(n)));
    }
  }
  const role = roleOf(node, index) ?? argumentOf(node, index);
  if (role === 'padding' || (role === 'mask' && boolean)) return when((n) => n === 0);
  if (role === 'mask' && attentionOperator(node)) return when((n) => n <= least);
  return 'open';
}

const only = ({ numbers }: Possible, holds: (n: number) => boolean) => numbers?.every(holds) ?? false;

function constant(tensor: Parameters<typeof constantNumbers>[0]): Possible {
  const numeric = tensor.type !== DataType.string && tensor.type !== DataType.bfloat16;
  return few(numeric ? constantNumbers(tensor) : undefined, tensor.type === DataType.bool);
}

const ofType = (type: DataType): Possible => (type === DataType.bool ? either : anything);

function few(numbers: readonly number[] | undefined, boolean = false): Possible {
  const different = numbers && [...new Set(numbers)];
  return { numbers: different && different.length <= maxNumbers ? different : undefined, boolean };
}

const compares: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  Equal: (a, b) => a === b,
  Less: (a, b) => a < b,
  LessOrEqual: (a, b) => a <= b,
  Greater: (a, b) => a > b,
  GreaterOrEqual: (a, b) => a >= b,
  And: (a, b) => a !== 0 && b !== 0,
  Or: (a, b) => a !== 0 || b !== 0,
  Xor: (a, b) => (a !== 0) !== (b !== 0),
  BitwiseAnd: (a, b) => a !== 0 && b !== 0,
  BitwiseOr: (a, b) => a !== 0 || b !== 0,
};

const computes: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => (a === 0 || b === 0 ? 0 : a * b),
  Div: (a, b) => a / b,
  Min: Math.min,
  Max: Math.max,
  Pow: (a, b) => a ** b,
};

const changes: Readonly<Record<string, (a: number) => number>> = {
  Neg: (a) => -a,
  Abs: Math.abs,
  Sign: Math.sign,
  Log: Math.log,
  Exp: Math.exp,
  Ceil: Math.ceil,
  Floor: Math.floor,
  Relu: (a) => Math.max(0, a),
};

/** Operators that give elements of their first input, some or all, in some shape. */
const rearranging = new Set(
  'Slice Gather GatherND GatherElements Transpose Tile Split ReduceMin ReduceMax Max Min Compress Clip'.split(' '),
);

/** What a node gives for what it may be given. */
function result(node: Node, input: (place: number) => Possible): Possible {
  const { op } = node;
  const compare = compares[op];
  if (compare) {
    const pairs = paired(op, input(0), input(1), (a, b) => Number(compare(a, b)));
    return { numbers: pairs.numbers ?? [0, 1], boolean: true };
  }
  const compute = node.inputs.length === 2 ? computes[op] : undefined;
  if (compute) return paired(op, input(0), input(1), compute);
  const change = changes[op];
  if (change) return few(input(0).numbers?.map(change));
  switch (op) {
    case 'Not':
    case 'BitwiseNot':
      return { numbers: [...new Set((input(0).numbers ?? [0, 1]).map((n) => Number(n === 0)))], boolean: true };
    case 'IsNaN':
    case 'IsInf':
      return either;
    case 'Cast':
      return cast(input(0), intAttribute(node, 'to', 0));
    case 'Where': {
      const chosen = (input(0).numbers ?? [0, 1]).map((n) => input(n === 0 ? 2 : 1));
      return few(
        joined(chosen),
        chosen.every(({ boolean }) => boolean),
      );
    }
    case 'Concat': {
      const parts = node.inputs.map((_, place) => input(place));
      return few(
        joined(parts),
        parts.every(({ boolean }) => boolean),
      );
    }
    case 'ConstantOfShape': {
      const value = node.attributes.get('value');
      return value?.kind === 'tensor' ? constant(value.value) : few([0]);
    }
    case 'Constant': {
      const value = node.attributes.get('value');
      return value?.kind === 'tensor' && elementCount(value.value.dims) <= 16 ? constant(value.value) : anything;
    }
    case 'Trilu': {
      const { numbers, boolean } = input(0);
      return few(numbers && [0, ...numbers], boolean);
    }
    case 'Pad':
      return few(joined([input(0), node.inputs[2] ? input(2) : few([0])]), input(0).boolean);
  }
  if (isPassThrough(node) || rearranging.has(op)) return input(0);
  return anything;
}

const joined = (parts: readonly Possible[]): readonly number[] | undefined =>
  parts.every(({ numbers }) => numbers) ? parts.flatMap(({ numbers }) => numbers ?? []) : undefined;

/** Every pair; of what may be anything, what the other one decides alone. */
function paired(op: string, left: Possible, right: Possible, apply: (a: number, b: number) => number): Possible {
  const boolean = left.boolean && right.boolean;
  if (left.numbers && right.numbers)
    return few(
      left.numbers.flatMap((a) => (right.numbers ?? []).map((b) => apply(a, b))),
      boolean,
    );
  const one = left.numbers ? left : right;
  const decides: Readonly<Record<string, (n: number) => boolean>> = {
    Mul: (n) => n === 0,
    And: (n) => n === 0,
    Or: (n) => n !== 0,
    // Sums of masks are masks: nothing that is added to a fill brings a score back.
    Add: (n) => n <= least,
    Min: (n) => n <= least,
  };
  const decided = decides[op];
  if (!decided || !only(one, decided)) return { numbers: undefined, boolean };
  return few(op === 'Or' ? [1] : one.numbers, boolean);
}

function cast({ numbers }: Possible, type: DataType): Possible {
  if (type === DataType.bool) return few(numbers?.map((n) => Number(n !== 0)) ?? [0, 1], true);
  const whole = !isFloat({ type });
  return few(numbers?.map((n) => (whole ? Math.trunc(n) : n)));
}
