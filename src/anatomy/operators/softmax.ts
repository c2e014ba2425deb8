/** softmax(mask(cap(scale · Q Kᵀ))) as ordinary nodes. */
import { DataType } from '../../onnx/model.js';
import type { Builder } from './builder.js';
import type { Operands } from './operator.js';

/** The pattern that these operands make: float32 [batch, heads, queries, keys]. */
export function softmaxOf(build: Builder, operands: Operands): string {
  const q = build.float32(operands.q);
  const k = operands.grouped ? repeated(build, q, build.float32(operands.k)) : build.float32(operands.k);
  let scores = build.node('MatMul', [q, build.transpose(k, [0, 1, 3, 2])]);
  scores = build.node('Mul', [scores, operands.scale !== 0 ? build.float(operands.scale) : inverseRoot(build, q)]);
  if (operands.softcap) {
    const cap = build.float(operands.softcap);
    scores = build.node('Mul', [build.node('Tanh', [build.node('Div', [scores, cap])]), cap]);
  }
  if (operands.bias) {
    const { value, boolean } = operands.bias;
    scores = boolean
      ? build.node('Where', [value, scores, build.float(Number.NEGATIVE_INFINITY)])
      : build.node('Add', [scores, build.float32(value)]);
  }
  if (operands.causal || operands.window !== undefined || operands.ahead !== undefined)
    scores = build.node('Where', [unseen(build, q, k, operands), build.float(Number.NEGATIVE_INFINITY), scores]);
  if (operands.filled !== undefined) return overFilled(build, scores, k, operands.filled);
  if (operands.sink === undefined) return build.node('Softmax', [scores], { axis: -1 });

  const logit =
    operands.sink === ''
      ? build.float(0)
      : build.node('Reshape', [build.float32(operands.sink), build.ints([1, -1, 1, 1])]);
  const rows = build.node('Slice', [build.node('Shape', [scores]), build.ints([0]), build.ints([3])]);
  const column = build.node('Expand', [logit, build.node('Concat', [rows, build.ints([1])], { axis: 0 })]);
  const pattern = build.node('Softmax', [build.node('Concat', [scores, column], { axis: -1 })], { axis: -1 });
  return build.slice(pattern, 3, 0, -1);
}

/** Key heads repeated for the query heads that share them, neighbours first. */
export function repeated(build: Builder, q: string, k: string): string {
  const one = build.ints([1]);
  const share = build.node('Div', [build.extent(q, 1), build.extent(k, 1)]);
  const times = build.node('Concat', [one, one, build.node('Reshape', [share, one]), one], { axis: 0 });
  const copies = build.node('Expand', [build.node('Reshape', [k, build.ints([0, 0, 1, -1])]), times]);
  const [own, given] = [build.node('Shape', [k]), build.node('Shape', [q])];
  const extents = build.node('Concat', [build.slice(given, 0, 0, 2), build.slice(own, 0, 2, 4)], { axis: 0 });
  return build.node('Reshape', [copies, extents]);
}

/** 1/√head_dim of queries [batch, heads, queries, head_dim]. */
function inverseRoot(build: Builder, q: string): string {
  const extent = build.node('Cast', [build.extent(q, 3)], { to: DataType.float });
  return build.node('Div', [build.float(1), build.node('Sqrt', [extent])]);
}

/** True where key j lies after query i (or `ahead` or more after it), or `window` or more before it. */
function unseen(build: Builder, q: string, k: string, { window, ahead, offset, causal }: Operands): string {
  const [queries, keys] = [build.extent(q, 2), build.extent(k, 2)];
  const first = build.node('Reshape', [offset ?? build.node('Sub', [keys, queries]), build.ints([-1, 1, 1, 1])]);
  const i = build.node('Add', [range(build, queries, [-1, 1]), first]);
  const j = range(build, keys, [1, -1]);
  const beyond = causal ? 1 : ahead;
  const sides = [
    ...(beyond === undefined ? [] : [build.node('Greater', [j, build.node('Add', [i, build.int(beyond - 1)])])]),
    ...(window === undefined ? [] : [build.node('Less', [j, build.node('Sub', [i, build.int(window - 1)])])]),
  ];
  return sides.reduce((side, other) => build.node('Or', [side, other]));
}

/** 0, 1 … before `count`, in this shape. */
const range = (build: Builder, count: string, shape: readonly number[]) =>
  build.node('Reshape', [build.node('Range', [build.int(0), count, build.int(1)]), build.ints(shape)]);

/** The softmax over the first `filled` keys; a query that sees none of them has no weight anywhere. */
function overFilled(build: Builder, scores: string, k: string, filled: string): string {
  const count = build.node('Reshape', [filled, build.ints([-1, 1, 1, 1])]);
  const isFilled = build.node('Less', [range(build, build.extent(k, 2), [1, -1]), count]);
  const seen = build.node('Where', [isFilled, scores, build.float(Number.NEGATIVE_INFINITY)]);
  const pattern = build.node('Softmax', [seen], { axis: -1 });
  return build.node('Where', [build.node('IsNaN', [pattern]), build.float(0), pattern]);
}
